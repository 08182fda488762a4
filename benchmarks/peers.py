"""The benchmark models as one would write them in SimPy and in Ciw.

Each function simulates `requests` requests and returns their mean sojourn in seconds.  The code
follows the style of either project's own guides (processes and `with resource.request()` in SimPy,
a network of nodes in Ciw) and records no more than the mean needs, which favours the peers.

`python -m benchmarks.peers` holds both to theory.
"""

import random
import statistics
from collections.abc import Generator

import ciw
import simpy

from benchmarks.theory import (
    MODELS,
    SECONDS_TO_MS,
    Queue,
    Single,
    Tandem,
    mean_sojourn_seconds,
)

Steps = Generator[simpy.Event, None, None]

# ---------------------------------------------------------------- SimPy


def simpy_single(model: Single, requests: int, seed: int) -> float:
    """Return the mean sojourn of an M/M/c queue, in seconds."""
    env, draw = simpy.Environment(), random.Random(seed)
    station = simpy.Resource(env, capacity=model.station.servers)
    sojourns: list[float] = []

    def request() -> Steps:
        arrived = env.now
        with station.request() as slot:
            yield slot
            yield env.timeout(draw.expovariate(1.0 / model.station.mean_seconds))
        sojourns.append(env.now - arrived)

    def arrivals() -> Steps:
        for _ in range(requests):
            yield env.timeout(draw.expovariate(model.arrival_rate))
            env.process(request())

    env.process(arrivals())
    env.run()
    return statistics.fmean(sojourns)


def simpy_tandem(model: Tandem, requests: int, seed: int) -> float:
    """Return the mean sojourn of the web tandem, in seconds."""
    env, draw = simpy.Environment(), random.Random(seed)
    application = simpy.Resource(env, capacity=model.application.servers)
    database = simpy.Resource(env, capacity=model.database.servers)
    sojourns: list[float] = []

    def request() -> Steps:
        arrived = env.now
        yield env.timeout(model.balancer_seconds)
        with application.request() as slot:
            yield slot
            yield env.timeout(draw.expovariate(1.0 / model.application.mean_seconds))
        yield env.timeout(model.cache_seconds)
        if draw.random() < model.miss_ratio:
            with database.request() as connection:
                yield connection
                yield env.timeout(draw.expovariate(1.0 / model.database.mean_seconds))
        sojourns.append(env.now - arrived)

    def arrivals() -> Steps:
        for _ in range(requests):
            yield env.timeout(draw.expovariate(model.arrival_rate))
            env.process(request())

    env.process(arrivals())
    env.run()
    return statistics.fmean(sojourns)


# ---------------------------------------------------------------- Ciw


def exponential(queue: Queue) -> ciw.dists.Exponential:
    """Return the service time of a station."""
    return ciw.dists.Exponential(rate=1.0 / queue.mean_seconds)


def ciw_single(model: Single, requests: int, seed: int) -> float:
    """Return the mean sojourn of an M/M/c queue, in seconds."""
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=model.arrival_rate)],
        service_distributions=[exponential(model.station)],
        number_of_servers=[model.station.servers],
    )
    return ciw_mean_sojourn(network, requests, seed)


def ciw_tandem(model: Tandem, requests: int, seed: int) -> float:
    """Return the mean sojourn of the web tandem, in seconds."""
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=model.arrival_rate), None, None, None],
        service_distributions=[
            ciw.dists.Deterministic(value=model.balancer_seconds),
            exponential(model.application),
            ciw.dists.Deterministic(value=model.cache_seconds),
            exponential(model.database),
        ],
        number_of_servers=[
            float("inf"),
            model.application.servers,
            float("inf"),
            model.database.servers,
        ],
        routing=[
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, model.miss_ratio],
            [0.0, 0.0, 0.0, 0.0],
        ],
    )
    return ciw_mean_sojourn(network, requests, seed)


def ciw_mean_sojourn(network: ciw.network.Network, requests: int, seed: int) -> float:
    """Run until `requests` individuals have left; return their mean time in the network."""
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(requests, method="Finish")
    finished = simulation.nodes[-1].all_individuals
    return statistics.fmean(
        one.data_records[-1].exit_date - one.data_records[0].arrival_date for one in finished
    )


# ---------------------------------------------------------------- either, by name


def run_simpy(model: Single | Tandem, requests: int, seed: int) -> float:
    """Return SimPy's mean sojourn for a benchmark model, in seconds."""
    if isinstance(model, Single):
        return simpy_single(model, requests, seed)
    return simpy_tandem(model, requests, seed)


def run_ciw(model: Single | Tandem, requests: int, seed: int) -> float:
    """Return Ciw's mean sojourn for a benchmark model, in seconds."""
    if isinstance(model, Single):
        return ciw_single(model, requests, seed)
    return ciw_tandem(model, requests, seed)


def main() -> None:
    """Print each peer's mean sojourn beside theory, with twice its standard error."""
    for model in MODELS:
        print(f"{model.name}: theory {mean_sojourn_seconds(model) * SECONDS_TO_MS:.3f} ms")
        for peer in (run_simpy, run_ciw):
            means = [peer(model, 50_000, seed) * SECONDS_TO_MS for seed in range(8)]
            error = statistics.stdev(means) / len(means) ** 0.5
            print(f"  {peer.__name__}: {statistics.fmean(means):.3f} ± {2 * error:.3f} ms")


if __name__ == "__main__":
    main()
