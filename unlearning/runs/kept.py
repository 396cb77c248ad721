"""What a run that may be cut off has left in its folder: a mapping, every value a file of its own."""

from collections.abc import Callable, Iterator, MutableMapping
from functools import cached_property
from pathlib import Path


class Kept(MutableMapping):
    """name -> tensors and plain values, in `KIND-NAME.pt`, each written in one step.

    `key()` says what they depend on: what was kept with another one is not found. It is asked for when
    something is first looked up or kept, since it may take some measuring.
    """

    def __init__(self, folder: Path, kind: str, key: Callable[[], str]):
        self.folder, self.kind, self._ask = folder, kind, key

    @cached_property
    def key(self) -> str:
        return self._ask()

    def _path(self, name: str | int) -> Path:
        return self.folder / f"{self.kind}-{name}.pt"

    def __getitem__(self, name: str | int):
        import torch

        key = self.key
        try:
            found = torch.load(self._path(name), weights_only=True)
        except Exception as error:  # none or damaged: it is made again
            raise KeyError(name) from error
        if not isinstance(found, dict) or found.get("key") != key or "left" not in found:  # or foreign
            raise KeyError(name)
        return found["left"]

    def __setitem__(self, name: str | int, left) -> None:
        import torch

        part = self.folder / f".{self.kind}-{name}.part"
        torch.save({"key": self.key, "left": left}, part)
        part.replace(self._path(name))

    def __delitem__(self, name: str | int) -> None:
        self._path(name).unlink()

    def __iter__(self) -> Iterator[str]:
        return (p.stem.removeprefix(f"{self.kind}-") for p in sorted(self.folder.glob(f"{self.kind}-*.pt")))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Every file of this kind goes, half-written ones too, whatever their key."""
        for pattern in (f"{self.kind}-*.pt", f".{self.kind}-*.part"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
