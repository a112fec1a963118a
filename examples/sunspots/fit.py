"""Fit an autoregressive model to the yearly sunspot numbers and see how well it forecasts.

Autoregression was invented on this series (G. U. Yule, 1927). A model of order p says that a year's
number is a weighted sum of the p years before it, plus noise. The weights come from the Yule-Walker
equations, solved by the Levinson-Durbin recursion, on a window of years before the test period; then each
year of the test period is forecast from the true values of the years before it.

Prints one JSON object:

- ``aic``: Akaike's criterion on the training window (to compare orders within one window; lower is better)
- ``rmse``: root-mean-square error of the forecasts, in sunspots
- ``skill``: 1 less the ratio of the squared error to that of forecasting last year's number again
- ``cycle_years``: where the model's spectrum peaks, or null where it has no peak
- ``spread_years``: the standard error of that, by bootstrap: many histories are made of the model and of its
  own noise, drawn with replacement, and a model is fitted to each; null where most have no peak

Needs nothing but Python 3.7 or newer. Origin of the data: README.md beside this file.
"""

from __future__ import annotations

import argparse
import cmath
import csv
import json
import math
import random
import statistics
from pathlib import Path

DATA = Path(__file__).with_name("sunspots.csv")


def read(path: Path) -> dict[int, float]:
    """Return the number of each year."""
    with path.open(newline="") as file:
        return {int(row["YEAR"]): float(row["SUNACTIVITY"]) for row in csv.DictReader(file)}


def autocovariances(values: list[float], highest: int) -> list[float]:
    """Return the (biased) autocovariances for the lags 0 to highest."""
    n = len(values)
    mean = sum(values) / n
    centred = [value - mean for value in values]
    return [sum(centred[t] * centred[t - lag] for t in range(lag, n)) / n for lag in range(highest + 1)]


def levinson_durbin(covariances: list[float]) -> tuple[list[float], float]:
    """Return the weights of the model and the variance of its noise."""
    weights: list[float] = []
    variance = covariances[0]
    for order in range(1, len(covariances)):
        explained = sum(weight * covariances[order - 1 - i] for i, weight in enumerate(weights))
        reflection = (covariances[order] - explained) / variance
        weights = [w - reflection * weights[-1 - i] for i, w in enumerate(weights)] + [reflection]
        variance *= 1 - reflection**2
    return weights, variance


def cycle_years(weights: list[float]) -> float | None:
    """Return the period at which the model's spectrum peaks, between 2 and 100 years."""

    def power(period: float) -> float:
        turn = cmath.exp(-2j * math.pi / period)
        return 1 / abs(1 - sum(w * turn**k for k, w in enumerate(weights, start=1))) ** 2

    periods = [2 + i * 0.05 for i in range(1961)]
    best = max(periods, key=power)
    return None if best in (periods[0], periods[-1]) else round(best, 2)


def spread_years(values: list[float], weights: list[float], draws: int) -> float | None:
    """Return the standard error of `cycle_years`, by bootstrap; None where most models have no cycle."""
    order, mean = len(weights), sum(values) / len(values)
    centred = [value - mean for value in values]
    noise = [
        centred[t] - sum(w * centred[t - k] for k, w in enumerate(weights, start=1))
        for t in range(order, len(centred))
    ]
    drawn = random.Random(1700 + order)  # the same every time: a result that can be had again
    cycles = []
    for _ in range(draws):
        history = centred[:order]
        for shock in drawn.choices(noise, k=len(centred) - order):
            history.append(shock + sum(w * history[-k] for k, w in enumerate(weights, start=1)))
        again, _ = levinson_durbin(autocovariances(history, order))
        cycles.append(cycle_years(again))
    found = [cycle for cycle in cycles if cycle is not None]
    return round(statistics.stdev(found), 2) if len(found) > draws // 2 else None


def evaluate(
    numbers: dict[int, float], order: int, window: int, test_from: int, draws: int
) -> dict[str, float | None]:
    """Fit on the ``window`` years before ``test_from``, and forecast the years from there on."""
    training = [numbers[year] for year in range(test_from - window, test_from)]
    mean = sum(training) / window
    weights, variance = levinson_durbin(autocovariances(training, order))
    squared = persistence = 0.0
    years = range(test_from, max(numbers) + 1)
    for year in years:
        forecast = mean + sum(w * (numbers[year - k] - mean) for k, w in enumerate(weights, start=1))
        squared += (numbers[year] - forecast) ** 2
        persistence += (numbers[year] - numbers[year - 1]) ** 2
    return {
        "aic": round(window * math.log(variance) + 2 * (order + 1), 1),
        "rmse": round(math.sqrt(squared / len(years)), 2),
        "skill": round(1 - squared / persistence, 3),
        "cycle_years": cycle_years(weights),
        "spread_years": spread_years(training, weights, draws) if draws > 1 else None,
    }


def main() -> None:
    """Read the arguments, and print what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--order", type=int, default=2, help="years that a forecast looks back")
    parser.add_argument("--window", type=int, default=120, help="years to fit on")
    parser.add_argument("--test-from", type=int, default=1959, help="first year to forecast")
    parser.add_argument("--draws", type=int, default=80, help="models fitted for the spread; below 2: none")
    arguments = parser.parse_args()
    numbers = read(DATA)
    longest = arguments.test_from - min(numbers)
    if not 0 < arguments.order < arguments.window <= longest:
        parser.error(f"it must be 0 < order < window <= {longest}")
    print(
        json.dumps(evaluate(numbers, arguments.order, arguments.window, arguments.test_from, arguments.draws))
    )


if __name__ == "__main__":
    main()
