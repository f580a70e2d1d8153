"""What a search tells of its programs: a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from skmtl.estimators._stacking import Fit, Group

if TYPE_CHECKING:
    from skmtl.model_selection._batch import Job


def plain_plan(jobs: Sequence[Job], why: str) -> pd.DataFrame:
    """Describe a search whose fits scikit-learn makes itself.

    Parameters
    ----------
    jobs : sequence of Job
        Candidates and splits.
    why : str
        From ``why_plain``.

    Returns
    -------
    DataFrame
        As from ``fit_jobs``.
    """
    return pd.DataFrame([_row("single", why, [job]) for job in jobs])


def _row(
    how: str, why: str, jobs: Sequence[Job], n_members: int = 0, n_bytes: float = 0
) -> dict[str, Any]:
    """Describe jobs that are fitted together, or come to the same error."""
    return {
        "how": how,
        "why": why,
        "candidates": sorted({job.candidate for job in jobs}),
        "splits": sorted({job.split for job in jobs}),
        "n_fits": len(jobs),
        "n_members": n_members,
        "memory_mb": round(n_bytes / 2**20, 1),
    }


def groups_plan(groups: Sequence[Group], chunk: Sequence[tuple[Job, Fit]]) -> pd.DataFrame:
    """Describe what is trained next.

    Parameters
    ----------
    groups : sequence of Group
        Nets that are trained together.
    chunk : sequence of (Job, Fit)
        The fits that they belong to.

    Returns
    -------
    DataFrame
        A row per group.
    """
    job_of = {id(fit.training): job for job, fit in chunk}
    rows = []
    for group in groups:
        jobs = [job_of[id(training)] for training in group.trainings]
        how = "stacked" if group.why_single is None else "single"
        n_members = sum(t.estimator.n_members_ for t in group.trainings)
        rows.append(_row(how, group.why_single or "", jobs, n_members, group.n_bytes))
    return pd.DataFrame(rows)


def errors_plan(chunk: Sequence[tuple[Job, Fit]]) -> pd.DataFrame:
    """Describe what cannot be trained.

    Parameters
    ----------
    chunk : sequence of (Job, Fit)
        Fits, some of which have failed before their first net.

    Returns
    -------
    DataFrame
        A row per error.
    """
    failed: dict[str, list[Job]] = {}
    for job, fit in chunk:
        if fit.error is not None:
            failed.setdefault(f"{type(fit.error).__name__}: {fit.error}", []).append(job)
    return pd.DataFrame([_row("error", why, jobs) for why, jobs in failed.items()])
