"""Liquid and recurrent networks for PyTorch, for irregularly sampled and missing data."""

from liquidrnn import wirings as wirings
from liquidrnn.kernels import backends as backends
from liquidrnn.layers.cfc import CfC as CfC
from liquidrnn.layers.cornn import CoRNN as CoRNN
from liquidrnn.layers.ct_gru import CTGRU as CTGRU
from liquidrnn.layers.ct_lstm import CTLSTM as CTLSTM
from liquidrnn.layers.ctrnn import CTRNN as CTRNN
from liquidrnn.layers.feed_forward import FeedForward as FeedForward
from liquidrnn.layers.gru_d import GRUD as GRUD
from liquidrnn.layers.gru_ode import GRUODE as GRUODE
from liquidrnn.layers.lrc import LRC as LRC
from liquidrnn.layers.lrc import LRCU as LRCU
from liquidrnn.layers.lrc import STC as STC
from liquidrnn.layers.ltc import LTC as LTC
from liquidrnn.layers.min_rnn import MinGRU as MinGRU
from liquidrnn.layers.min_rnn import MinLSTM as MinLSTM
from liquidrnn.layers.ode_lstm import ODELSTM as ODELSTM
from liquidrnn.layers.ode_rnn import ODERNN as ODERNN
from liquidrnn.layers.phased_lstm import PhasedLSTM as PhasedLSTM
from liquidrnn.layers.stacked_lstm import StackedLSTM as StackedLSTM
from liquidrnn.layers.torch_rnn import GRU as GRU
from liquidrnn.layers.torch_rnn import LSTM as LSTM
from liquidrnn.layers.torch_rnn import RNN as RNN
from liquidrnn.migration import from_ncps as from_ncps
from liquidrnn.recurrent import RecurrentLayer as RecurrentLayer
from liquidrnn.spans import timespans_from_timestamps as timespans_from_timestamps
from liquidrnn.streaming import Stream as Stream

__version__ = "0.1.0"
