"""Runs workflows with the documented Python interface."""

import asyncio

from podium.api.workflows import WorkflowEngine

TARGETS = "tests.integration.workflow_targets"


def with_engine(store, body, actions=(), **config):
    async def main():
        async with WorkflowEngine(config, store) as engine:
            for action in actions:
                engine.register_action(action.__name__, action)
            return await body(engine)

    return asyncio.run(main())


def outcome_of(store, steps, input_data=None, actions=(), **config):
    """Define and execute a workflow, and return its status when it is over."""

    async def body(engine):
        await engine.define_workflow("w", steps)
        return await engine.wait_for(await engine.execute_workflow("w", input_data))

    return with_engine(store, body, actions, **config)
