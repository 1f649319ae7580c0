"""What a table of results shows, and what it does not: intervals, tests, ranks, and a verdict in words.

The arithmetic is in pure functions on arrays (`inference`). `compare` applies it to a study's results: it pairs runs
by task and seed (`board`), counts failures, corrects for the number of comparisons and says by fixed thresholds who is
better, who is equivalent, and where nothing has been shown (`verdict`; `across` for all tasks together).
"""

from liquidbench.statistics.across import FEW_TASKS as FEW_TASKS
from liquidbench.statistics.across import RANKING_RULE as RANKING_RULE
from liquidbench.statistics.across import Overall as Overall
from liquidbench.statistics.across import OverTasks as OverTasks
from liquidbench.statistics.board import FEWEST_SEEDS as FEWEST_SEEDS
from liquidbench.statistics.board import Family as Family
from liquidbench.statistics.board import Pair as Pair
from liquidbench.statistics.board import Standing as Standing
from liquidbench.statistics.inference import ALPHA as ALPHA
from liquidbench.statistics.inference import LEVEL as LEVEL
from liquidbench.statistics.inference import Interval as Interval
from liquidbench.statistics.inference import PairedTest as PairedTest
from liquidbench.statistics.inference import average_ranks as average_ranks
from liquidbench.statistics.inference import bootstrap_interval as bootstrap_interval
from liquidbench.statistics.inference import friedman as friedman
from liquidbench.statistics.inference import holm as holm
from liquidbench.statistics.inference import mean_interval as mean_interval
from liquidbench.statistics.inference import paired_test as paired_test
from liquidbench.statistics.inference import score_interval as score_interval
from liquidbench.statistics.inference import signed_rank_test as signed_rank_test
from liquidbench.statistics.verdict import Comparison as Comparison
from liquidbench.statistics.verdict import Judgement as Judgement
from liquidbench.statistics.verdict import Verdict as Verdict
from liquidbench.statistics.verdict import compare as compare
from liquidbench.statistics.wording import counted as counted
from liquidbench.statistics.wording import linear_model as linear_model
from liquidbench.statistics.wording import number as number
from liquidbench.statistics.wording import p_value as p_value
from liquidbench.statistics.wording import significant as significant
