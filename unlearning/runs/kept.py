"""What a run that may be cut off has left in its folder: a mapping, every value a file of its own."""

from collections.abc import Iterator, MutableMapping
from pathlib import Path


class Kept(MutableMapping):
    """name -> tensors and plain values, in `KIND-NAME.pt`, each written in one step.

    `key` says what they depend on: what was kept with another one is not found.
    """

    def __init__(self, folder: Path, kind: str, key: str):
        self.folder, self.kind, self.key = folder, kind, key

    def _path(self, name: str | int) -> Path:
        return self.folder / f"{self.kind}-{name}.pt"

    def __getitem__(self, name: str | int):
        import torch

        try:
            found = torch.load(self._path(name), weights_only=True)
        except Exception as error:  # none, damaged or foreign: it is made again
            raise KeyError(name) from error
        if found.get("key") != self.key:
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
