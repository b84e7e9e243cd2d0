"""Files and folders on whatever file system Spark writes to."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession


class FileInfo(NamedTuple):
    """A file: its whole path, its size in bytes, and its path below the folder that was listed."""

    path: str
    size: int
    below: str


class _Disk(NamedTuple):
    """A file system of Hadoop's, and the classes for it, looked up once: each look is a question to Java."""

    files: Any
    path: Any
    text: Any
    local: bool

    @classmethod
    def of(cls, spark: SparkSession, path: str) -> _Disk:
        """Return the one that *path* is on."""
        context: Any = spark.sparkContext
        apache = context._jvm.org.apache
        made = apache.hadoop.fs.Path
        files = made(path).getFileSystem(context._jsc.hadoopConfiguration())
        # Hadoop's checksum files of local files would be torn when a file is replaced.
        local = files.getScheme() == "file"
        return cls(files.getRawFileSystem() if local else files, made, apache.commons.io.IOUtils, local)


class Folder:
    """A path, be it there or not; all of its errors are those of Hadoop, `Py4JJavaError`."""

    def __init__(self, spark: SparkSession, path: str, *, disk: _Disk | None = None) -> None:
        self._spark, self.path = spark, path
        self._disk = disk or _Disk.of(spark, path)
        self._files: Any = self._disk.files

    @cached_property
    def _hadoop(self) -> Any:
        return self._files.makeQualified(self._disk.path(self.path))

    def _at(self, path: str) -> Folder:
        return Folder(self._spark, path, disk=self._disk)

    def __truediv__(self, name: str) -> Folder:
        return self._at(f"{self.path.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.path

    @property
    def uri(self) -> str:
        """The whole path, with its file system, as Hadoop writes it."""
        return str(self._hadoop)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return str(self._hadoop.getName())

    @cached_property
    def parent(self) -> Folder:
        """The folder that this one is in."""
        return self._at(str(self._hadoop.getParent()))

    def exists(self) -> bool:
        """Say whether there is a file or a folder."""
        return bool(self._files.exists(self._hadoop))

    def is_file(self) -> bool:
        """Say whether there is a file."""
        return self.exists() and bool(self._files.getFileStatus(self._hadoop).isFile())

    def names(self) -> list[str]:
        """Return the names of what is directly in the folder, in order; none if it is not there."""
        if not self.exists():
            return []
        return sorted(each.getPath().getName() for each in self._files.listStatus(self._hadoop))

    def files(self) -> list[FileInfo]:
        """Return the files of data at any depth, in order; names that begin with `_` or `.` are not data."""
        if not self.exists():
            return []
        found, remote = [], self._files.listFiles(self._hadoop, True)
        top = str(self._hadoop).rstrip("/")
        while remote.hasNext():
            status = remote.next()
            path = str(status.getPath())
            below = path.removeprefix(top).lstrip("/")
            if not any(name.startswith(("_", ".")) and "=" not in name for name in below.split("/")):
                found.append(FileInfo(path, int(status.getLen()), below))
        return sorted(found)

    def make(self) -> None:
        """Make the folder and those above it."""
        self._files.mkdirs(self._hadoop)

    def read(self) -> str | None:
        """Return the text of the file, None if there is none."""
        if not self.exists():
            return None
        stream = self._files.open(self._hadoop)
        try:
            return str(self._disk.text.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write(self, text: str) -> None:
        """Write the file, or replace it; who reads it just then may see a part of it."""
        self._fill(self._files.create(self._hadoop, True), text)

    def publish(self, text: str) -> None:
        """Write a file that is not there yet, so that it is seen whole or not at all."""
        draft = self.parent / f".{self.name}.draft"
        draft.write(text)
        draft.move_to(self)

    def claim(self, text: str) -> bool:
        """Write the file unless there is one already; of several who try at once one gets True."""
        self.parent.make()
        if self._disk.local:
            with suppress(FileExistsError):
                # Hadoop looks first and writes then, which is two steps on a local disk.
                handle = os.open(self._hadoop.toUri().getPath(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                with os.fdopen(handle, "w") as file:
                    file.write(text)
                return True
            return False
        try:
            self._fill(self._files.create(self._hadoop, False), text)
        except Py4JJavaError as error:
            if self.exists():
                return False
            raise error
        return True

    def move_to(self, target: Folder) -> None:
        """Rename the file or folder; raises `OSError` if *target* is there, or it is refused otherwise."""
        target.parent.make()
        if target.exists() or not self._files.rename(self._hadoop, target._hadoop):
            msg = f"could not rename {self.path} to {target.path}"
            raise OSError(msg)

    def delete(self) -> None:
        """Delete the file or the folder with all that is in it; nothing happens if there is none."""
        self._files.delete(self._hadoop, True)

    def delete_empty(self) -> None:
        """Delete the folder if there is nothing in it."""
        with suppress(Py4JJavaError):
            # Asked first, since an exception of Java's takes longer than the question.
            if self._files.listStatusIterator(self._hadoop).hasNext():
                return
            self._files.delete(self._hadoop, False)

    @staticmethod
    def _fill(stream: Any, text: str) -> None:
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write the file at *path*, or replace it, so that it is seen whole or not at all."""
    file = Folder(spark, path)
    file.delete()
    file.publish(text)
