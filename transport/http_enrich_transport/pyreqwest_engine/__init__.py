"""The engine that wraps pyreqwest, an optional library."""

from ._engine import PyreqwestEngine

__all__ = ["PyreqwestEngine"]
