"""What requests to the stand-in for a model server must look like; all else is refused as OpenAI does."""

import functools
import json
from dataclasses import dataclass, replace

from openai_faults import Refusal

ROLES = ("system", "developer", "user", "assistant", "tool")
FORMATS = ("text", "json_object", "json_schema")
# What `/completions` writes when nobody says how much.
COMPLETION_TOKENS = 16
MOST_INPUTS = 2048
MOST_STOPS = 4
# Characters of a token, and tokens that a message costs beside its content.
TOKEN = 4


@dataclass(frozen=True)
class Ask:
    """A request for text, checked."""

    model: str
    # Pairs of role and content.
    messages: tuple[tuple[str, str], ...]
    chat: bool
    stream: bool
    include_usage: bool
    # How many tokens the answer may have.
    limit: int | None
    stop: tuple[str, ...]
    wants_json: bool
    priority: int

    @property
    def question(self):
        """The last message of the user."""
        return next((content for role, content in reversed(self.messages) if role == "user"), "")

    @functools.cached_property
    def tokens(self):
        """The prompt as tokens: three for each message, then its content."""
        return [token for role, content in self.messages for token in ("<", role, ">", *pieces(content))]


@dataclass(frozen=True)
class Embed:
    """A request for embeddings, checked."""

    model: str
    inputs: tuple[str, ...]
    base64: bool
    dimensions: int
    priority: int


def pieces(text):
    """Text in tokens."""
    return [text[start : start + TOKEN] for start in range(0, len(text), TOKEN)]


def read_chat(raw, behaviour):
    """A request to `/chat/completions`."""
    body = read(raw, behaviour)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", "a list of at least one message")
    pairs = tuple(read_message(message, f"messages[{n}]") for n, message in enumerate(messages))
    return read_ask(body, behaviour, pairs, chat=True, usual_limit=None)


def read_completion(raw, behaviour):
    """A request to `/completions`."""
    body = read(raw, behaviour)
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise wrong("prompt", "a string; this server takes one prompt, and no tokens")
    return read_ask(body, behaviour, (("user", prompt),), chat=False, usual_limit=COMPLETION_TOKENS)


def read_embed(raw, behaviour):
    """A request to `/embeddings`."""
    body = read(raw, behaviour)
    inputs = body.get("input")
    inputs = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(inputs, list) or not 0 < len(inputs) <= MOST_INPUTS:
        raise wrong("input", f"a string or a list of 1 to {MOST_INPUTS} strings")
    if not all(isinstance(text, str) and text for text in inputs):
        raise wrong("input", "strings that are not empty; this server takes no tokens")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise wrong("encoding_format", "`float` or `base64`")
    dimensions = whole(body, "dimensions", 1) or behaviour.dimensions
    return Embed(body["model"], tuple(inputs), encoding == "base64", dimensions, whole(body, "priority") or 0)


def read(raw, behaviour):
    """The body of a request, whose model the server has."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body of your request is not a JSON object")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter", param="model")
    if behaviour.models is not None and model not in behaviour.models:
        raise Refusal(404, f"The model `{model}` does not exist", param="model", code="model_not_found")
    return body


def read_message(message, param):
    """Role and content of a message."""
    if not isinstance(message, dict):
        raise wrong(param, "an object")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise wrong(f"{param}.role", f"one of {', '.join(ROLES)}")
    if content is None and role == "assistant":
        return role, ""
    if isinstance(content, list) and content:
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return role, "".join(texts)
    if not isinstance(content, str):
        raise wrong(f"{param}.content", "a string or a list of parts of type `text`")
    return role, content


def read_ask(body, behaviour, messages, chat, usual_limit):
    """What requests for text share."""
    if body.get("n") not in (None, 1) or isinstance(body.get("n"), bool):
        raise wrong("n", "1")
    stream = body.get("stream") or False
    if not isinstance(stream, bool):
        raise wrong("stream", "true or false")
    return check_limit(
        Ask(
            model=body["model"],
            messages=messages,
            chat=chat,
            stream=stream,
            include_usage=read_stream_options(body, behaviour, stream),
            limit=whole(body, "max_completion_tokens", 1) or whole(body, "max_tokens", 1) or usual_limit,
            stop=read_stop(body),
            wants_json=read_format(body, behaviour),
            priority=whole(body, "priority") or 0,
        ),
        behaviour,
    )


def check_limit(ask, behaviour):
    """Refuses what the model cannot see at once, as vLLM does; takes off the prompt where the server counts it."""
    asked = len(ask.tokens) + (ask.limit or 0)
    if behaviour.context is not None and asked > behaviour.context:
        message = (
            f"This model's maximum context length is {behaviour.context} tokens. However, you requested {asked} tokens "
            f"({len(ask.tokens)} in the messages, {ask.limit or 0} in the completion)."
        )
        raise Refusal(400, message, param="messages", code="context_length_exceeded")
    if not behaviour.total_max_tokens or ask.limit is None:
        return ask
    left = ask.limit - len(ask.tokens)
    if left < 1:
        message = f"max_tokens is {ask.limit}, and the prompt alone has {len(ask.tokens)} tokens"
        raise Refusal(400, message, param="max_tokens", code="context_length_exceeded")
    return replace(ask, limit=left)


def read_stream_options(body, behaviour, stream):
    """Whether the usage is to be streamed too."""
    if "stream_options" in body and behaviour.no_stream_options:
        raise Refusal(400, "Unrecognized request argument supplied: stream_options", param="stream_options")
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise wrong("stream_options", "an object")
    if not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refusal(400, message, param="stream_options")
    return options.get("include_usage") is True


def read_stop(body):
    """The strings before which the answer ends."""
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(isinstance(one, str) and one for one in stops):
        raise wrong("stop", f"a string or a list of at most {MOST_STOPS} strings")
    return tuple(stops)


def read_format(body, behaviour):
    """Whether the answer must be JSON."""
    wanted = body.get("response_format")
    if wanted is None:
        return False
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in FORMATS:
        raise wrong("response_format.type", f"one of {', '.join(FORMATS)}")
    if (kind == "json_schema" and behaviour.no_json_schema) or (kind == "json_object" and behaviour.no_json_object):
        message = f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model."
        raise Refusal(400, message, param="response_format")
    if kind == "json_schema":
        named = wanted.get("json_schema")
        if not isinstance(named, dict) or not isinstance(named.get("name"), str):
            raise wrong("response_format.json_schema.name", "a string")
        if not isinstance(named.get("schema"), dict):
            raise wrong("response_format.json_schema.schema", "an object")
    return kind != "text"


def whole(body, name, least=None):
    """A whole number, or None where there is none."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(name, "a whole number")
    if least is not None and value < least:
        raise wrong(name, f"at least {least}")
    return value


def wrong(param, wanted):
    """A value that is not what it must be."""
    return Refusal(400, f"Invalid value for '{param}': must be {wanted}.", param=param, code="invalid_value")
