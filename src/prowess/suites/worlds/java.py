"""The Java machine behind an engine, which py4j speaks to: ended politely, or at once."""

import contextlib
from typing import Any


class OnJava:
    """An engine of a package that keeps its Java machine in `_env`."""

    _env: Any

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._env.close()
        self._let_go()

    def kill(self) -> None:
        """End the Java machine at once."""
        self._env._gateway.java_process.kill()
        self._let_go()

    def _let_go(self) -> None:
        """Else what is left of Java's objects asks for the dead machine whenever garbage is collected."""
        self._env._gateway._gateway_client.is_connected = False
