"""Metrics: scores per task and their mean; scorers."""

from skmtl.metrics._scoring import TaskScorer as TaskScorer
from skmtl.metrics._scoring import TaskScoring as TaskScoring
from skmtl.metrics._scoring import task_scorer as task_scorer
from skmtl.metrics._skill import skill_score as skill_score
