"""The pipeline file: what it may say, how it is read, how its placeholders are filled. Imports no Spark."""

from ._connections import variable as connection_variable
from ._endpoint import EndpointConfig
from ._interpolate import RunInfo, secret_values
from ._load import check_pipeline, load_pipeline
from ._options import Options, option_of, plain_options
from ._pipeline import ExecutionConfig, PipelineConfig, ResponseConfig, is_inside
from ._places import FILE_FORMATS, SinkConfig, SourceConfig
from ._problems import PipelineError, Problem
from ._recipe import Recipe
from ._references import CONNECTION_FIELDS, Reference, connection_ids
from ._run_key import RunKey, differences, plain
from ._secrets import secret_texts, secrets
from ._template import Template
from ._yaml import Document, read_document

__all__ = [
    "CONNECTION_FIELDS",
    "FILE_FORMATS",
    "Document",
    "EndpointConfig",
    "ExecutionConfig",
    "Options",
    "PipelineConfig",
    "PipelineError",
    "Problem",
    "Recipe",
    "Reference",
    "ResponseConfig",
    "RunInfo",
    "RunKey",
    "SinkConfig",
    "SourceConfig",
    "Template",
    "check_pipeline",
    "connection_ids",
    "connection_variable",
    "differences",
    "is_inside",
    "load_pipeline",
    "option_of",
    "plain",
    "plain_options",
    "read_document",
    "secret_texts",
    "secret_values",
    "secrets",
]
