"""The engine that wraps aiohttp."""

from ._engine import AiohttpEngine

__all__ = ["AiohttpEngine"]
