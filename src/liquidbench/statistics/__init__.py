"""Statistics of a table of results: intervals, tests, ranks, and a verdict in words.

Pure functions on arrays are in `inference`. `compare` applies them to a study's results: it pairs runs by task and seed
(`task_results`), counts failures, corrects for the number of comparisons, and decides by fixed thresholds which network
is better, which are equivalent, and where nothing has been shown (`verdict`). `across` covers all tasks together,
`cost` what a better score costs, `degradation` what is lost when the data shift, `elapsed` whether elapsed time is
used, `certainty` whether models know what they do not know, `worlds` what changes with the world of a closed loop.
"""

from liquidbench.statistics.across import FEW_TASKS as FEW_TASKS
from liquidbench.statistics.across import GROUP_RULE as GROUP_RULE
from liquidbench.statistics.across import MATCHUP_RULE as MATCHUP_RULE
from liquidbench.statistics.across import RANKING_RULE as RANKING_RULE
from liquidbench.statistics.across import Groups as Groups
from liquidbench.statistics.across import Matchup as Matchup
from liquidbench.statistics.across import Overall as Overall
from liquidbench.statistics.across import OverTasks as OverTasks
from liquidbench.statistics.certainty import CERTAINTY_RULE as CERTAINTY_RULE
from liquidbench.statistics.certainty import CLEAN as CLEAN
from liquidbench.statistics.certainty import SHARE as SHARE
from liquidbench.statistics.certainty import Certainty as Certainty
from liquidbench.statistics.cost import COST_RULE as COST_RULE
from liquidbench.statistics.cost import COSTS as COSTS
from liquidbench.statistics.cost import Cost as Cost
from liquidbench.statistics.cost import Price as Price
from liquidbench.statistics.cost import comparable as comparable
from liquidbench.statistics.degradation import DEGRADATION_RULE as DEGRADATION_RULE
from liquidbench.statistics.degradation import FAMILY_SHIFT_RULE as FAMILY_SHIFT_RULE
from liquidbench.statistics.degradation import Degradation as Degradation
from liquidbench.statistics.degradation import FamilyLoss as FamilyLoss
from liquidbench.statistics.degradation import Loss as Loss
from liquidbench.statistics.degradation import ShiftEffect as ShiftEffect
from liquidbench.statistics.elapsed import ELAPSED_RULE as ELAPSED_RULE
from liquidbench.statistics.elapsed import ElapsedTime as ElapsedTime
from liquidbench.statistics.elapsed import TimeUse as TimeUse
from liquidbench.statistics.inference import ALPHA as ALPHA
from liquidbench.statistics.inference import LEVEL as LEVEL
from liquidbench.statistics.inference import Effect as Effect
from liquidbench.statistics.inference import Estimate as Estimate
from liquidbench.statistics.inference import Interval as Interval
from liquidbench.statistics.inference import PairedTest as PairedTest
from liquidbench.statistics.inference import WinTieLoss as WinTieLoss
from liquidbench.statistics.inference import bayesian_signed_rank as bayesian_signed_rank
from liquidbench.statistics.inference import critical_difference as critical_difference
from liquidbench.statistics.inference import effect_size as effect_size
from liquidbench.statistics.inference import estimate as estimate
from liquidbench.statistics.inference import expected_best as expected_best
from liquidbench.statistics.inference import friedman as friedman
from liquidbench.statistics.inference import gain_per_doubling as gain_per_doubling
from liquidbench.statistics.inference import hierarchical_interval as hierarchical_interval
from liquidbench.statistics.inference import holm as holm
from liquidbench.statistics.inference import mean_interval as mean_interval
from liquidbench.statistics.inference import places as places
from liquidbench.statistics.inference import score_interval as score_interval
from liquidbench.statistics.inference import seeds_to_equate as seeds_to_equate
from liquidbench.statistics.inference import seeds_to_show as seeds_to_show
from liquidbench.statistics.inference import signed_rank_test as signed_rank_test
from liquidbench.statistics.inference import spreads_to_show as spreads_to_show
from liquidbench.statistics.inference import win_tie_loss as win_tie_loss
from liquidbench.statistics.pairs import FEW_SEEDS as FEW_SEEDS
from liquidbench.statistics.pairs import FEWEST_SEEDS as FEWEST_SEEDS
from liquidbench.statistics.pairs import PROSPECT_RULE as PROSPECT_RULE
from liquidbench.statistics.pairs import Pair as Pair
from liquidbench.statistics.pairs import Prospect as Prospect
from liquidbench.statistics.task_results import CHEAP as CHEAP
from liquidbench.statistics.task_results import ORACLE as ORACLE
from liquidbench.statistics.task_results import Standing as Standing
from liquidbench.statistics.task_results import floors as floors
from liquidbench.statistics.task_results import test_to_train as test_to_train
from liquidbench.statistics.verdict import Comparison as Comparison
from liquidbench.statistics.verdict import Judgement as Judgement
from liquidbench.statistics.verdict import Verdict as Verdict
from liquidbench.statistics.verdict import compare as compare
from liquidbench.statistics.worlds import WORLD_RULE as WORLD_RULE
from liquidbench.statistics.worlds import Foretold as Foretold
from liquidbench.statistics.worlds import InWorlds as InWorlds
from liquidbench.statistics.worlds import WorldVerdict as WorldVerdict
