"""Topics: what the broker has to have, as commands of Kafka or definitions of RabbitMQ.

Kafka: bin/kafka-topics.sh and topic configurations, https://kafka.apache.org/documentation/.
RabbitMQ: definitions, queue arguments, https://www.rabbitmq.com/docs/definitions and /docs/queues.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.deploy.site import Site
from engine.deploy.words import Note, as_json, line

DEAD = "-dead"  # behind the name of a topic: what failed at every delivery
REPLICATION = 3  # of a topic, as the price list's three brokers can


def files(site: Site) -> dict[str, str]:
    """Return the list of topics or queues; none if no journey leaves work for later."""
    if not site.kinds:
        return {}
    if site.scenario.asynchronous.broker == "kafka":
        return {"topics/kafka.sh": _kafka(site)}
    return {"topics/rabbitmq.json": _rabbitmq(site)}


def _kafka(site: Site) -> str:
    note = Note(
        "Kafka topics",
        (
            "a topic for each kind of worker, with its partitions and retention (asynchronous)",
            f"a topic …{DEAD} for what failed at every delivery",
            "how many consumers each group has, in comments",
        ),
        (
            "publish and service times, failures: those are the brokers' and the programs' own",
            (
                f"redelivery: {site.scenario.asynchronous.attempts} deliveries,"
                f" {site.scenario.asynchronous.retry_delay_ms:g} ms apart, are the consumer's to do"
            ),
            f"replication: {REPLICATION} is assumed; it is not modelled",
            *_bound(site),
        ),
    )
    body = "\n".join(_commands(site))
    return f"#!/bin/sh\n{note.comment(site.scenario.title)}{body}\n"


def _bound(site: Site) -> Iterator[str]:
    if site.scenario.asynchronous.bounded:
        yield "the bound on messages that wait: a topic of Kafka has none"


def _commands(site: Site) -> Iterator[str]:
    layer = site.scenario.asynchronous
    kept = max(1, round(layer.retention_seconds * 1e3))
    yield "set -eu"
    yield 'broker="${1:-localhost:9092}"'
    yield ""
    yield "topic() {"
    yield '    kafka-topics.sh --bootstrap-server "$broker" --create --if-not-exists \\'
    yield f'        --topic "$1" --partitions "$2" --replication-factor {REPLICATION} \\'
    yield '        --config retention.ms="$3"'
    yield "}"
    for kind, topic in site.topics.items():
        yield ""
        yield f"# {line(layer.title_of(kind))}: {layer.workers_of(kind)} consumers"
        yield f"topic {topic} {layer.partitions} {kept}"
        yield f"topic {topic}{DEAD} 1 {kept}"


def _rabbitmq(site: Site) -> str:
    layer = site.scenario.asynchronous
    prefetch = (layer.prefetch or "0 (no limit)") if layer.deals else 1
    note = Note(
        "RabbitMQ definitions",
        (
            "a queue for each kind of worker, with its bound and retention (asynchronous)",
            f"a queue …{DEAD} for what failed at every delivery, and how many deliveries there are",
        ),
        (
            f"prefetch: consumers set it themselves: prefetch_count {prefetch} each",
            (
                f"the visibility time-out of {layer.visibility_seconds:g} s: consumer_timeout is"
                " the broker's own"
            ),
            f"the redelivery delay of {layer.retry_delay_ms:g} ms",
            "blocking publishers while a queue is full: RabbitMQ refuses (reject-publish)",
        ),
    )
    queues = [queue for kind in site.kinds for queue in _queues(site, kind)]
    tree = {
        "comment": note.lines(site.scenario.title),
        "vhosts": [{"name": "/"}],
        "exchanges": [],
        "queues": queues,
        "bindings": [],
    }
    return as_json(tree) + "\n"


def _queues(site: Site, kind: str) -> Iterator[dict[str, Any]]:
    """Yield a kind's queue and its dead-letter queue: quorum queues, which count deliveries."""
    layer, topic = site.scenario.asynchronous, site.topics[kind]
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": layer.attempts - 1,  # how often it is given out again
        "x-message-ttl": max(1, round(layer.retention_seconds * 1e3)),
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{topic}{DEAD}",
    }
    if layer.bounded:
        arguments |= {"x-max-length": layer.capacity, "x-overflow": "reject-publish"}
    for name, said in ((topic, arguments), (f"{topic}{DEAD}", {"x-queue-type": "quorum"})):
        yield {
            "name": name,
            "vhost": "/",
            "durable": True,
            "auto_delete": False,
            "arguments": said,
        }
