"""Fitted estimators as save folders without pickle; their members also as state for pickle.

    estimator.json                                 parameters, encoder, targets, and the curve of each member
    0.architecture.json  0.weights.safetensors ... the first network, as a network's own save has it; then 1., ...

Only numbers, text and parts of dnnkit are saved: a `RandomState` and callbacks are left out.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit._version import __version__
from dnnkit.errors import CheckpointError, ConfigurationError, DnnkitError
from dnnkit.estimators import parameter_values
from dnnkit.estimators.aims import exact_match
from dnnkit.estimators.data import Curve
from dnnkit.estimators.encoders import ENCODERS
from dnnkit.estimators.members import Members
from dnnkit.files import as_path
from dnnkit.registry import Lazy, Registry
from dnnkit.saves import serialization
from dnnkit.saves.folder import FORMAT, read_files, require_readable, to_json, write_files
from dnnkit.saves.loading import known_classes, network_of
from dnnkit.saves.saving import files_of
from dnnkit.saves.schema import ANYTHING, COUNT, MEASURED, by_name, list_of, one_of, parsed, record, taken, text
from dnnkit.settings import POSITIVE, or_none, shown, whole
from dnnkit.tables.targets import target_of

ESTIMATORS: Registry[type] = Registry("estimator", "a class of estimators", lambda thing: isinstance(thing, type))
ESTIMATORS.add("DNNClassifier", Lazy("dnnkit.estimators.classifier:DNNClassifier"))
ESTIMATORS.add("DNNRegressor", Lazy("dnnkit.estimators.regressor:DNNRegressor"))

NAME = "estimator.json"
OURS = {"exact_match": exact_match}
"""Objects that networks refer to by names known only to estimators."""


CURVE = record(
    {
        "losses": list_of(MEASURED),
        "scores": or_none(list_of(MEASURED)),
        "best_loss": or_none(MEASURED),
        "best_score": or_none(MEASURED),
        "epochs": COUNT,
        "rows_seen": COUNT,
        "waited": COUNT,
        "ended": text(most=10_000),
    }
)
MEMBERS = record(
    {
        "count": whole(1, 10_000),
        "curves": list_of(CURVE, 10_000),
        "task": one_of("binary", "multiclass", "multilabel", "regression"),
        "others": record({"temperature": POSITIVE, "bounds": ANYTHING}),
    }
)
ESTIMATOR = record(
    {
        "kind": text(most=100),
        "parameters": by_name(ANYTHING),
        "encoder": or_none(record({"name": text(most=100), "fitted": ANYTHING})),
        "target": ANYTHING,
        "n_features_in": whole(1, 1 << 40),
        "feature_names_in": or_none(list_of(text(most=100_000))),
        "members": MEMBERS,
    }
)


# -- members ---------------------------------------------------------------------------------------------------------


def files_of_members(members: Members) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the JSON description of members, and the files of their networks."""
    others = [each.name for each in fields(Members) if each.name not in ("networks", "curves", "task")]
    described = {
        "count": len(members.networks),
        "curves": [_of_curve(curve) for curve in members.curves],
        "task": members.task,
        "others": {name: serialization.describe(getattr(members, name)) for name in others},
    }
    files = {
        f"{number}.{name}": data for number, net in enumerate(members.networks) for name, data in files_of(net).items()
    }
    return described, files


def members_of(
    described: Any,
    files: Mapping[str, bytes],
    place: str,
    backend: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Members:
    """Read what `files_of_members` wrote; `place` names the save in errors."""
    found = taken(described, MEMBERS, f"{place} is damaged: members")
    networks = []
    for number in range(found["count"]):
        prefix = f"{number}."
        own = {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}
        networks.append(network_of(own, f"{place}, member {number}", backend, {**OURS, **(custom_objects or {})}))
    curves = [Curve(**each) for each in found["curves"]]
    if len(curves) != len(networks):
        raise CheckpointError(f"{place} is damaged: it has {len(networks)} members and {len(curves)} curves")
    temperature, bounds = found["others"]["temperature"], serialization.rebuild(found["others"]["bounds"], {})
    if bounds is not None and not isinstance(bounds, np.ndarray):
        raise CheckpointError(f"{place} is damaged: members: bounds are {shown(bounds)}: expected an array, or null")
    return Members(networks, curves, found["task"], temperature, bounds)


def _of_curve(curve: Curve) -> dict[str, Any]:
    values = {each.name: getattr(curve, each.name) for each in fields(Curve)}
    for name in ("losses", "scores"):
        if values[name] is not None:
            values[name] = [serialization.number_to_json(float(value)) for value in values[name]]
    for name in ("best_loss", "best_score"):
        if values[name] is not None:
            values[name] = serialization.number_to_json(float(values[name]))
    return values


def state_of_members(members: Members) -> dict[str, Any]:
    """Return members as state for pickle: JSON and files if all their parts are dnnkit's; else the objects."""
    described, files = files_of_members(members)
    ours = set(known_classes())
    for name, data in files.items():
        if name.endswith("architecture.json") and not _classes_in(json.loads(data)) <= ours:
            return dict(vars(members))
    return {"described": described, "files": files}


def members_of_state(state: Mapping[str, Any]) -> Members:
    """Read what `state_of_members` returned."""
    if "files" not in state:
        return Members(**state)
    return members_of(state["described"], state["files"], "this pickle of an estimator")


def _classes_in(described: Any) -> set[str]:
    """Return the names of all classes in a JSON value."""
    if isinstance(described, list):
        return set().union(*map(_classes_in, described))
    if not isinstance(described, dict):
        return set()
    own = {described["type"]} if isinstance(described.get("type"), str) else set()
    return own.union(*map(_classes_in, described.values())) - {serialization.ARRAY}


# -- estimators ------------------------------------------------------------------------------------------------------


def save(estimator: Any, path: str | Path) -> None:
    """Write a fitted estimator to a folder."""
    write_files(as_path(path), files_of_estimator(estimator))


def files_of_estimator(estimator: Any) -> dict[str, bytes]:
    """Return the contents of a save's files, by name."""
    members, files = files_of_members(estimator._members)
    names = getattr(estimator, "feature_names_in_", None)
    described = {
        "format": FORMAT,
        "dnnkit": __version__,
        "kind": type(estimator).__name__,
        "parameters": {
            name: parameter_values.described(name, value) for name, value in estimator.get_params(deep=False).items()
        },
        "encoder": _of_encoder(estimator.encoder_),
        "target": estimator.target_.to_dict(),
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
        "members": members,
    }
    return {NAME: to_json(described), **files}


def load_estimator(
    path: str | Path, *, backend: str | None = None, custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """Load an estimator from a folder, ready for `predict` and `partial_fit`.

    Arguments:
        path: the folder, as written by `estimator.save`.
        backend: name of the backend for its networks; None for the one that trained them.
        custom_objects: custom losses, optimizers and schedules: classes by name.

    Returns:
        The estimator.

    Raises:
        CheckpointError: the folder is not a save of an estimator, is damaged, or is of a later version.
    """
    folder = as_path(path)
    return estimator_of(read_files(folder), str(folder), backend, custom_objects)


def estimator_of(
    files: Mapping[str, bytes],
    place: str,
    backend: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Read an estimator from a save's files; `place` names the save in errors."""
    if NAME not in files:
        hint = "; it is the save of a network: use dk.load" if "architecture.json" in files else ""
        raise CheckpointError(f"{place} is not a save of an estimator{hint}")
    value = parsed(files, NAME, place)
    require_readable(value, place)
    found = taken(value, ESTIMATOR, f"{place} is damaged: {NAME}")
    if found["kind"] not in ESTIMATORS:
        raise CheckpointError(f"{place} is of a {shown(found['kind'])}, which dnnkit does not have")
    known = {**known_classes(), **(custom_objects or {})}
    kind: Any = ESTIMATORS[found["kind"]]
    try:
        estimator = kind(
            **{name: parameter_values.rebuilt(value, known) for name, value in found["parameters"].items()}
        )
    except (DnnkitError, Warning):
        raise
    except Exception as error:  # valid JSON that a class, perhaps the user's, rejects
        raise CheckpointError(f"{place} has parameters that this version cannot read: {repr(error)[:300]}") from error
    estimator._members = members_of(found["members"], files, place, backend, custom_objects)
    estimator.encoder_ = _encoder_of(found["encoder"])
    estimator.n_features_in_ = found["n_features_in"]
    if found["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(found["feature_names_in"], object)
    target = target_of(found["target"])
    if not isinstance(target, kind.targets):
        raise CheckpointError(
            f"{place} is damaged: its targets are {target.kind}, which are not those of a {kind.__name__}"
        )
    estimator._take_target(target)
    _check_agreement(estimator, place)
    return estimator


def _check_agreement(estimator: Any, place: str) -> None:
    """Raise `CheckpointError` if encoder, networks and targets do not belong together."""
    members, encoder, names = estimator._members, estimator.encoder_, getattr(estimator, "feature_names_in_", None)
    width = estimator.n_features_in_ if encoder is None else len(encoder.get_feature_names_out())
    agrees = (
        members.task == estimator._task
        and all(net.input_shape == (width,) for net in members.networks)
        and all(net.executable.program.output_features == estimator.n_outputs_ for net in members.networks)
        and len({net.dtype for net in members.networks}) == 1
        and (encoder is None or encoder.n_features_in_ == estimator.n_features_in_)
        and (names is None or len(names) == estimator.n_features_in_)
        and (members.bounds is None or members.bounds.shape == (2, estimator.n_outputs_))
    )
    if not agrees:
        raise CheckpointError(f"{place} is damaged: its encoder, networks and targets do not belong together")


def _of_encoder(encoder: Any) -> Any:
    if encoder is None:
        return None
    name = next((name for name in ENCODERS if isinstance(encoder, ENCODERS[name])), None)
    if name is None or not hasattr(encoder, "to_dict"):
        raise ConfigurationError(
            f"the encoder {type(encoder).__name__} cannot be saved: it has no to_dict, or is not registered; use "
            "dk.TabularEncoder(), or save the estimator with joblib or skops"
        )
    return {"name": name, "fitted": encoder.to_dict()}


def _encoder_of(described: Any) -> Any:
    if described is None:
        return None
    if described["name"] not in ENCODERS:
        raise CheckpointError(f"the save has an encoder {shown(described['name'])}, which dnnkit does not have")
    kind: Any = ENCODERS[described["name"]]
    return kind.from_dict(described["fitted"])
