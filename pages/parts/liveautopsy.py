"""The post-mortem of a live run, written while the page goes on answering.

It plays the recorded run again a dozen times, with one thing otherwise each time, which takes
seconds: so it is done beside, one at a time for all sessions, and given up when nobody wants it.
"""

import functools
import threading

from engine import CancelledError, Live, ScenarioError, Simulation, postmortem

RERUNS = 12
PIECE_SECONDS = 10.0  # simulated; between two of them it can be given up


@functools.cache
def _desk() -> threading.Lock:
    """Return the one place at which post-mortems are written."""
    return threading.Lock()


class Autopsy:
    """A post-mortem in the making."""

    def __init__(self, live: Live) -> None:
        self.scenario, self.seed = live.recorded(), live.seed
        self.lines: list[list[str]] = []  # kind and text, once it is written
        self.progress = "waits for its turn"
        self._unwanted = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether there is nothing more to come."""
        return not self.progress

    def give_up(self) -> None:
        """Stop at the next opportunity."""
        self._unwanted.set()

    def _work(self) -> None:
        """Play the run again, in windows as fine as its length allows, and write."""
        try:
            with _desk():
                self.lines = self._written()
        except CancelledError:
            pass
        except ScenarioError as error:
            self.lines = [["text", f"No post-mortem could be written: {error}"]]
        finally:
            self.progress = ""

    def _written(self) -> list[list[str]]:
        run, until = Simulation(self.scenario, self.seed), self.scenario.duration_seconds
        while run.env.now < until:
            if self._unwanted.is_set():
                raise CancelledError
            run.advance_to(min(until, float(run.env.now) + PIECE_SECONDS))
        found = postmortem(
            run.end(),
            self.scenario,
            reruns=RERUNS,
            progress=self._note,
            cancelled=self._unwanted.is_set,
        )
        return shown(found.text())

    def _note(self, done: int, total: int, what: str) -> None:
        """Say how far it is."""
        self.progress = f"plays it again ({done + 1} of {max(total, done + 1)}): {what}"


def shown(markdown: str) -> list[list[str]]:
    r"""Return a report as headings and sentences, each as (kind, text); its title is left out.

    >>> shown("# Post-mortem: A\n\n## Felt\nNobody was harmed.\n")
    [['head', 'Felt'], ['text', 'Nobody was harmed.']]
    """
    lines = [line.strip() for line in markdown.splitlines()]
    return [
        ["head", line[3:]] if line.startswith("## ") else ["text", line]
        for line in lines
        if line and not line.startswith("# ")
    ]
