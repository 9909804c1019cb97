"""Timing that holds on a noisy machine: interleaved runs, medians."""

import json
import statistics
import time


def interleaved_rounds(functions, rounds, warmup=3):
    """Milliseconds of each function in each round; in a round each is called once.

    Args:
        functions: {name: function without arguments that waits for its result}.
        rounds: Calls of each that are timed.
        warmup: Calls of each that are not.

    Returns:
        {name: milliseconds of each round}.
    """
    for _ in range(warmup):
        for function in functions.values():
            function()
    milliseconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            milliseconds[name].append(1e3 * (time.perf_counter() - start))
    return milliseconds


def medians(milliseconds):
    """{name: median} of what `interleaved_rounds` returned."""
    return {name: statistics.median(times) for name, times in milliseconds.items()}


def interleaved_ms(functions, rounds, warmup=3):
    """Median milliseconds of each function; see `interleaved_rounds`."""
    return medians(interleaved_rounds(functions, rounds, warmup))


def spread_of_ratio(above, below):
    """First and third quartile of the ratios of two functions' times, by round."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return [low, high]


def train_function_of(model):
    """The training step of a compiled model; takes an iterator of batches."""
    # Keras 3 returns nothing and keeps it.
    return model.make_train_function() or model.train_function


def rounded(value, digits=3):
    """Rounds the floats of a nested structure, for printing."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item, digits) for item in value]
    return value


def print_json(result, digits=3):
    """Prints a result as JSON, floats rounded."""
    print(json.dumps(rounded(result, digits), indent=1))
