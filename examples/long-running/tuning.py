"""Finds the smoothing factor that would have forecast a series best."""

import math

from pydantic import BaseModel, Field
from temporalio import activity

from pipeline.worker.checkpoint import Checkpoint


class Series(BaseModel):
    """What was measured, and how thoroughly to look."""

    values: list[float] = Field(min_length=2, description="oldest first")
    candidates: int = Field(default=50_000, ge=1, description="factors to try, evenly from 0 to 1")


class Smoothing(BaseModel):
    """The best factor."""

    factor: float
    error: float = Field(description="mean absolute error of its forecasts")


class Progress(BaseModel):
    """What a call that goes on elsewhere needs to know."""

    tried: int = 0
    factor: float = 0.0
    error: float = math.inf


PROGRESS = Checkpoint("tuning", Progress, handover=True)


@activity.defn
def tune(series: Series) -> Smoothing:
    """Try one factor after the other; a few minutes for five years of hourly values."""
    progress = PROGRESS.load(Progress())
    for tried in range(progress.tried + 1, series.candidates + 1):
        factor = tried / series.candidates
        error = forecast_error(series.values, factor)
        if error < progress.error:
            progress = Progress(tried=tried, factor=factor, error=error)
        else:
            progress = progress.model_copy(update={"tried": tried})
        PROGRESS.save(progress)
    return Smoothing(factor=progress.factor, error=progress.error)


def forecast_error(values: list[float], factor: float) -> float:
    """The mean absolute error, where each value is forecast from those before it."""
    level, missed = values[0], 0.0
    for value in values[1:]:
        missed += abs(value - level)
        level += factor * (value - level)
    return missed / (len(values) - 1)
