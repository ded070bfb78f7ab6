"""Requests in, answers out: what of a request may be believed, and the shape each answer must have.

A request is `[0, number, name, [[is_async], argument...]]`. Arguments are decoded straight into the types of `calls.CALLS`: nothing is
guessed, nothing left out, no number is infinite. What does not fit is refused with a sentence that names the call and the argument, in
the shape the client expects of that call: the wrong shape would reach the script as `std::bad_cast` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import GenericAlias
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta, Raw, ValidationError, convert
from msgspec.msgpack import Decoder, Encoder

from protocols.errors import CodecError
from sim.carla.wire import commands
from sim.carla.wire.calls import CALLS, Call, Kind
from sim.carla.wire.frames import ENVELOPE, UNREADABLE, Parts

MOST_COMMANDS = 65536
MALFORMED = -1
"""The index `decode_batch` gives a command that cannot be read; its payload is the reason."""

_VALUE: Final = Kind.VALUE
_NO_BATCH = "apply_batch: argument 'commands': "


@dataclass(frozen=True, slots=True)
class Value:
    """The call succeeded and answers this."""

    value: Any


@dataclass(frozen=True, slots=True)
class Void:
    """The call succeeded and answers nothing."""


@dataclass(frozen=True, slots=True)
class Error:
    """The call failed; the sentence becomes the script's RuntimeError."""

    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Of each command of a batch: the actor's id, or why it failed."""

    results: list[int | Error]


@dataclass(frozen=True, slots=True)
class Later:
    """The answer comes when something else has happened."""


VOID: Final = Void()
LATER: Final = Later()
Result = Value | Void | Error | Batch | Later


class RefusedError(CodecError):
    """The request can be answered, with this reason; its sender can go on."""


_types: dict[str, tuple[Any, ...]] = {
    name: call.args if call.kind is not Kind.BATCH else (Raw, bool) for name, call in CALLS.items()
}
_arguments: dict[str, Callable[[Raw], tuple[Any, ...]]] = {}
_several = Decoder(list[Raw])
_metadata = Decoder(tuple[bool])
_Commands = Annotated[list[tuple[commands.Command]], Meta(max_length=MOST_COMMANDS)]
_commands = Decoder(_Commands)
_command = Decoder(tuple[commands.Command])
_raw_commands = Decoder(Annotated[list[Raw], Meta(max_length=MOST_COMMANDS)])


def _plain(value: Any) -> Any:
    """Numbers of numpy become numbers."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot travel")


_encode = Encoder(enc_hook=_plain).encode


def read(message: bytes) -> Parts:
    """The envelope of a complete request; CodecError where it is none, and its sender no client of CARLA's."""
    try:
        return ENVELOPE.decode(message)
    except UNREADABLE as error:
        raise CodecError(
            f"an array of four that is no request of type 0 with a number of 32 bits and a name: {error}"
        ) from None


def arguments(method: str, packed: Raw) -> tuple[Any, ...]:
    """The arguments of a call, converted; RefusedError names the call and the argument that does not fit.

    The commands of `apply_batch` stay packed: `decode_batch` reads them.
    """
    decode = _arguments.get(method)
    if decode is None:
        if method not in CALLS:
            raise RefusedError(f"{method[:64]!r} is not a call of CARLA 0.9.16")
        form: Any = GenericAlias(tuple, (tuple[bool], *_types[method]))
        decode = Decoder(form).decode
        _arguments[method] = decode
    try:
        return decode(packed)[1:]
    except UNREADABLE:
        raise RefusedError(_why(CALLS[method], packed)) from None


def _why(call: Call, packed: Raw) -> str:
    """Which argument of a call does not fit, and in what."""
    try:
        found = _several.decode(packed)
    except UNREADABLE as error:
        return f"{call.name}: the arguments cannot be read: {error}"
    wanted = len(call.args) + 1
    if len(found) != wanted:
        return f"{call.name}: {len(found)} arguments with the metadata, expected {wanted}"
    try:
        _metadata.decode(found[0])
    except UNREADABLE:
        return f"{call.name}: the metadata before the arguments is not [bool]"
    for name, kind, value in zip(call.names, _types[call.name], found[1:], strict=True):
        try:
            Decoder(kind).decode(value)
        except UNREADABLE as error:
            return f"{call.name}: argument {name!r}: {_plain_reason(error)}"
    return f"{call.name}: the arguments cannot be read"


def _plain_reason(error: Exception) -> str:
    """The library's sentence in the words of a reader who never saw it: non-finite numbers fail a comparison there."""
    text = str(error)
    if "e+308" in text:
        text = re.sub(r"Expected `float` [<>]= \S+", "Expected a finite number", text)
    return text


def decode_batch(packed: Raw | bytes | list[Any]) -> list[tuple[int, Any]]:
    """Index and payload of each command of `apply_batch`.

    A payload is a tuple `(actor id, value...)`, for SpawnActor a `SpawnActorPayload`. A command that does not fit has the index
    MALFORMED and the reason in place of a payload: it fails alone. RefusedError where there is no list of commands at all.
    """
    try:
        if isinstance(packed, list):
            return commands.unfold(convert(packed, _Commands))
        return commands.unfold(_commands.decode(packed))
    except UNREADABLE:
        pass
    if isinstance(packed, list):
        packed = _encode(packed)
    try:
        each = _raw_commands.decode(packed)
    except UNREADABLE as error:
        raise RefusedError(_NO_BATCH + str(error)) from None
    return [_one(number, command) for number, command in enumerate(each)]


def _one(number: int, packed: Raw) -> tuple[int, Any]:
    try:
        (command,) = _command.decode(packed)
    except UNREADABLE as error:
        return MALFORMED, f"apply_batch: command {number}: {_plain_reason(error)}"
    return command.INDEX, command.payload


def answer(number: int, call: Call | None, result: Result) -> bytes:
    """The bytes of an answer, in the shape of the call's kind; an unknown call is answered like one with a value."""
    if type(result) is Value and call is not None and call.kind is _VALUE:
        return _encode((1, number, None, ((1, result.value),)))  # what nearly every answer is
    return _encode((1, number, None, shape(call, result)))


def shape(call: Call | None, result: Result) -> Any:
    """What stands in the answer's last place."""
    kind = Kind.VALUE if call is None else call.kind
    if isinstance(result, Value) and kind is Kind.VALUE:
        return ((1, result.value),)
    if isinstance(result, Void) and kind is Kind.VOID:
        return ((False,),)
    if isinstance(result, Error):
        if kind is Kind.VALUE:
            return ((0, (result.message,)),)
        if kind is Kind.VOID:
            return ((True, (result.message,)),)
        return (((0, (result.message,)),),)
    if isinstance(result, Batch) and kind is Kind.BATCH:
        return [
            ((0, (each.message,)),) if isinstance(each, Error) else ((1, each),)
            for each in result.results
        ]
    name = "an unknown call" if call is None else call.name
    raise CodecError(f"{name} answers a {kind.value}, found {type(result).__name__}")


def verify(call: Call, value: Any) -> None:
    """CodecError where the client could not read `value` as the answer of `call`: there it would be a `std::bad_cast`."""
    try:
        Decoder(call.reply).decode(_encode(value))
    except (ValidationError, TypeError, OverflowError) as error:
        raise CodecError(f"{call.name}: the answer does not fit its type: {error}") from None


def pack(value: Any) -> Raw:
    """A value packed once, for answers given often: a map's text, the blueprints."""
    return Raw(_encode(value))


def request(number: int, method: str, *values: Any, is_async: bool = False) -> bytes:
    """A request as a client writes it."""
    return _encode((0, number, method, ((is_async,), *values)))


def reply(message: bytes, method: str) -> tuple[int, Any]:
    """Number and value of an answer as a client reads it; RefusedError carries the server's sentence."""
    call = CALLS[method]
    form: Any
    if call.kind is Kind.BATCH:
        form = list[tuple[tuple[int, Any]]]
    elif call.kind is Kind.VALUE:
        form = tuple[tuple[int, Raw]]
    else:
        form = tuple[Annotated[tuple[bool | list[str], ...], Meta(min_length=1, max_length=2)]]
    try:
        kind, number, fault, result = Decoder(tuple[int, int, None, form]).decode(message)
    except UNREADABLE as error:
        raise CodecError(f"{method}: the answer cannot be read: {error}") from None
    if kind != 1 or fault is not None:
        raise CodecError(f"{method}: a message of type {kind} in place of an answer")
    if call.kind is Kind.BATCH:
        return number, [
            value if index == 1 else Error(str(value[0])) for ((index, value),) in result
        ]
    (content,) = result
    if call.kind is Kind.VOID:
        if content[0] is True:
            raise RefusedError(str(content[1][0]))
        return number, None
    index, packed = content
    if index == 0:
        raise RefusedError(Decoder(tuple[str]).decode(packed)[0])
    return number, Decoder(call.reply).decode(packed)
