"""For people who test their tasks: `TaskHarness` runs one task, `memory_stage` a whole worker on the log in memory.

Nothing of this is used by a running service.
"""

from muster.testing.harness import InlineCompute, TaskHarness
from muster.testing.stage import Stage, memory_stage, stage_on, wait_until

__all__ = ["InlineCompute", "Stage", "TaskHarness", "memory_stage", "stage_on", "wait_until"]
