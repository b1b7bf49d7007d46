"""Services of a plan of layers: which are started, in what order, and what tests get of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from podium.model import layers as d
from podium.model.known_services import ENDPOINTS, exports_of, health_of
from podium.model.layers_graph import needed_by
from podium.plan.graph import Need, Step
from podium.plan.layer_choice import Place
from podium.plan.layer_context import Context
from podium.plan.layer_order import Order
from podium.plan.layer_phases import phases_of
from podium.plan.plain import plain
from podium.plan.policy import Policy
from podium.plan.service_placeholders import unknown_placeholders
from podium.plan.services import Health, Service
from podium.protocols import Work

PREFIX = "service/"
"""Beginning of the names of steps of services."""


@dataclass
class Services:
    """The services of the layers that are run.

    Attributes:
        real: Layer and category to the services that are started for it.
        mocked: Layer and category to the variables it gets instead of services.
        started: Services in the order in which they start.
    """

    real: dict[Place, list[str]] = field(default_factory=dict[Place, list[str]])
    mocked: dict[Place, dict[str, str]] = field(default_factory=dict[Place, dict[str, str]])
    started: list[str] = field(default_factory=list[str])


def services_of(context: Context, categories: Mapping[str, Collection[d.CategoryDocument]]) -> Services:
    """Return which services are started, and for whom; those that have mocks are only if they were asked for.

    Args:
        context: What the plan is made of.
        categories: Layer to those of its categories that are run.
    """
    services, defined = Services(), context.document.services
    for layer, listed in categories.items():
        for category in listed:
            place = (layer, category.name)
            services.real[place], services.mocked[place] = [], {}
            is_real = category.real_services or (category.real_services is None and context.uses_real_services)
            for name in dict.fromkeys([*context.document.layers[layer].services, *category.services]):
                mocks = defined[name].mocks if name in defined else None
                if mocks is not None and not is_real:
                    services.mocked[place].update(mocks)
                elif name in defined or name in ENDPOINTS:
                    services.real[place].append(name)
    needs = {name: _needs(name, context) for name in (*defined, *ENDPOINTS)}
    first = {name for names in services.real.values() for name in names}
    every = first.union(*(needed_by(name, needs) for name in first))
    timeouts = {name: _startup(name, context) for name in every}
    by_timeout = sorted(every, key=lambda name: (timeouts[name], name))
    services.started = [name for phase in phases_of(by_timeout, needs) for name in phase]
    return services


def service_steps(context: Context, services: Services, order: Order) -> Iterator[Step]:
    """Yield the steps of services, each starting no earlier than what all layers that use it need."""
    needs = {name: _needs(name, context) for name in services.started}
    for name in services.started:
        users = {
            layer
            for (layer, _), names in services.real.items()
            if layer in order.before and (name in names or any(name in needed_by(n, needs) for n in names))
        }
        if not users:
            continue
        service = _service(name, context)
        for key, finding in unknown_placeholders(service):
            span = context.placed.span("services", name, key) if name in context.document.services else None
            context.findings.append(replace(finding, span=span))
        _check_files(name, context)
        yield Step(
            name=PREFIX + name,
            work=Work("service", plain(service)),
            needs=(*(Need(PREFIX + need) for need in needs[name]), *_layers_first(users, order)),
            policy=Policy(timeout=_startup(name, context)),
            slots=0,
            role="service",
            expected=_startup(name, context),
            labels={"service": name},
        )


def _check_files(name: str, context: Context) -> None:
    """Note what a service is started from and is not there."""
    document, at = context.document.services.get(name), ("services", name)
    if document is None or document.compose is None:
        return
    file, inner = (document.compose, ()) if isinstance(document.compose, str) else (document.compose.file, ("file",))
    if not (context.project / file).is_file():
        text = f"there is no Compose file `{file}` for the service `{name}`"
        context.warn("E533", text, "its path is relative to the folder of the project", *at, "compose", *inner)


def _layers_first(users: Collection[str], order: Order) -> Iterator[Need]:
    """Yield needs on the layers that come before all users of a service, without those other ones come after."""
    common = set[str].intersection(*(order.all_before(user) for user in users))
    passed = set[str].intersection(*(order.surely_passed_before(user) for user in users))
    for layer in sorted(common):
        if not any(layer in order.all_before(other) for other in common):
            yield Need(layer, "passed" if layer in passed else "done")


def _needs(name: str, context: Context) -> list[str]:
    defined = context.document.services
    listed = defined[name].needs if name in defined else []
    return [need for need in listed if need in defined or need in ENDPOINTS]


def _startup(name: str, context: Context) -> float:
    """Return the longest time until a service is up [s]."""
    document = context.document.services.get(name)
    given = None if document is None else document.startup_timeout
    return (given or context.document.defaults.startup_timeout) / 1e9


def _service(name: str, context: Context) -> Service:
    document = context.document.services.get(name)
    if document is None:
        endpoint = ENDPOINTS[name]
        return Service(name, health=_short_health(endpoint), exports=exports_of(name, endpoint))
    compose = document.compose
    file, part = (
        ("", "")
        if compose is None
        else (compose, "")
        if isinstance(compose, str)
        else (
            compose.file,
            compose.service,
        )
    )
    return Service(
        name=name,
        argv=tuple(document.command or ()),
        image=document.image or "",
        compose=file,
        compose_service=part,
        command=tuple(document.args),
        ports=document.ports,
        env=document.env,
        exports=document.exports,
        mounts=document.mounts,
        health=_health(document.health),
        stop_signal=document.stop_signal,
        cwd=document.cwd,
        memory=None if document.memory is None else int(document.memory),
    )


def _health(health: str | d.HealthDocument | None) -> Health | None:
    if health is None:
        return None
    if isinstance(health, str):
        return _short_health(health)
    return Health(
        tcp=health.tcp or "",
        http=health.http or "",
        command=tuple(health.command or ()),
        container=health.container,
        interval=health.interval / 1e9,
    )


def _short_health(endpoint: str) -> Health:
    kind, where = health_of(endpoint)
    return Health(tcp=where) if kind == "tcp" else Health(http=where)
