"""Language models that answer: against a real server that speaks the protocol, and against one that speaks it badly.

No test leaves this machine. The models are tiny and made on the spot; what they say is noise, and must be the same noise
wherever it comes from.
"""

import dataclasses
import itertools
import json
import logging
import os
import re
import string
import subprocess
import sys
import time
import traceback
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server import Answer, ChatServer, completion, free_port
from lmrl_lab import chat
from lmrl_lab.chat import ChatEndpoint, LocalModel, SimulatorError, Usage, transport
from lmrl_lab.policies import ScriptedPolicy
from lmrl_lab.rollout import rollout
from lmrl_lab.simulators import ChatPolicy, ChatSimulator, Request, TransformersSimulator, conversation

KEY = "sk-THIS-KEY-MUST-APPEAR-NOWHERE"
HELLO = [[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello?"}]]
PIANO = Request("twenty-questions", (("object", "Piano"),), ("Questions:\n", "Is it alive?"))


@pytest.fixture(autouse=True)
def no_key_and_no_hub(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def endpoint(server, **settings):
    return ChatEndpoint("m", server.url, **{"backoff": 0.01, "timeout": 5.0, **settings})


# ---------------------------------------------------------------------------------------------- an endpoint

FAULTS = {
    "half an answer": (Answer(b'{"id": "x", "choices": [{"mess', cut=100), "broke off"),
    "half an answer, whole by its header": (Answer(b'{"id": "x", "choices": [{"mess'), "not JSON"),
    "not JSON": (Answer(b"busy, come back"), "not JSON"),
    "a web page": (Answer(b"<html>busy</html>", kind="text/html"), "no chat completion"),
    "empty choices": (Answer({"choices": []}), "no chat completion"),
    "null": (Answer(b"null"), "no chat completion"),
    "another schema": (Answer({"answer": 42}), "no chat completion"),
    "a choice without a message": (Answer({"choices": [{"index": 0}]}), "no chat completion"),
    "no text": (Answer(completion("", finish="length")), "no text (finish_reason: length)"),
    "thoughts without an end": (Answer(completion("<think>Is it", finish="length")), "no text outside <think> (finish_reason: l"),
    "thoughts alone": (Answer(completion("<think>Yes.</think>\n")), "no text outside <think> (finish_reason: stop)"),
    "429": (Answer({"error": {"message": "slow down"}}, 429), "429: slow down"),
    "408": (Answer({"error": {"message": "too late"}}, 408), "408"),
    "500": (Answer(b"", 500), "500"),
    "503 in words": (Answer(b"oops", 503, kind="text/plain"), "503"),
    "too slow": (Answer(completion("late"), delay=0.6), "no answer within 0.2 s"),
}


@pytest.mark.parametrize("fault, said", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_may_pass_is_tried_again_and_then_told(fault, said):
    quick = {"timeout": 0.2} if fault.delay else {}
    with ChatServer(fault, fault, "Fine.") as server:
        model = endpoint(server, retries=2, **quick)
        paid = 3 if said.startswith("no text") else 1  # tokens of an answer without text are spent too
        assert model.complete(HELLO) == ["Fine."] and model.usage == Usage(3, 5 * paid, 2 * paid)
    with ChatServer(fault) as server:
        with pytest.raises(SimulatorError) as caught:
            endpoint(server, retries=2, **quick).complete(HELLO)
        assert said in str(caught.value) and "(tried 3 times)" in str(caught.value) and len(server.requests) == 3


def test_a_server_that_is_not_there():
    model = ChatEndpoint("m", f"http://127.0.0.1:{free_port()}/v1", retries=1, backoff=0.01)
    with pytest.raises(SimulatorError, match=r"no connection.*\(tried 2 times\)"):
        model.complete(HELLO)
    assert model.usage.requests == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_that_will_not_pass_is_not_tried_again(status):
    with ChatServer(Answer({"error": {"message": "no such model"}}, status), "Fine.") as server:
        with pytest.raises(SimulatorError, match=rf"answered {status}.*\(tried once\)"):
            endpoint(server).complete(HELLO)
        assert len(server.requests) == 1


def test_waits_double_and_a_server_may_ask_for_longer_but_not_for_ever(monkeypatch):
    waited = []
    monkeypatch.setattr(chat.threading.Event, "wait", lambda self, seconds=None: waited.append(seconds))
    for header, expected in ((), [0.5, 1, 2]), ({"retry-after": "1.5"}, [1.5, 1.5, 2]), ({"retry-after": "900"}, [60, 60, 60]), (
            {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, [0.5, 1, 2]):
        with ChatServer(Answer({}, 429, headers=header)) as server:
            model = endpoint(server, backoff=0.5)
            waited.clear()
            with pytest.raises(SimulatorError, match="tried 4 times"):
                model.complete(HELLO)
        assert [seconds for seconds in waited if seconds in (0.5, 1, 1.5, 2, 60)] == expected


def test_answers_come_in_order_whatever_the_server_does_first():
    def late(request, headers):  # the first is answered last
        number = int(request["messages"][-1]["content"])
        return Answer(completion(f"answer {number}", usage=(number, 1)), delay=0.05 * (6 - number))

    with ChatServer(late) as server:
        model = endpoint(server, concurrency=6)
        begin = time.perf_counter()
        said = model.complete([conversation("s", [str(number)]) for number in range(6)])
        assert time.perf_counter() - begin < 0.05 * (1 + 2 + 3 + 4 + 5 + 6), "not asked side by side"
    assert said == [f"answer {number}" for number in range(6)] and model.usage == Usage(6, 15, 6)


def test_one_that_fails_ends_them_all_at_once():
    def answer(request, headers):
        bad = request["messages"][-1]["content"] == "3"
        return Answer({}, 404) if bad else Answer({}, 503)

    with ChatServer(answer) as server:
        begin = time.perf_counter()
        with pytest.raises(SimulatorError, match="404"):
            endpoint(server, retries=9, backoff=5.0).complete([conversation("s", [str(n)]) for n in range(8)])
        assert time.perf_counter() - begin < 4 and len(server.requests) <= 8


def test_what_is_sent():
    with ChatServer("Fine.") as server:
        endpoint(server).complete(HELLO)
        endpoint(server, temperature=None, max_tokens=None, extra={"max_completion_tokens": 7}).complete(HELLO)
    assert server.requests == [{"model": "m", "messages": HELLO[0], "temperature": 0.0, "max_tokens": 60},
                               {"model": "m", "messages": HELLO[0], "max_completion_tokens": 7}]
    assert [headers["authorization"] for headers in map(_lower, server.headers)] == ["Bearer not needed"] * 2


def _lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def test_tokens_are_counted_as_far_as_the_server_tells():
    with ChatServer(Answer(completion("a", usage=None)), Answer({**completion("a"), "usage": "much"}), "a") as server:
        model = endpoint(server)
        for _ in range(3):
            model.complete(HELLO)
    assert model.usage == Usage(3, 5, 2)


def test_the_key_is_sent_and_appears_nowhere(monkeypatch, caplog, tmp_path, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")

    def echo(request, headers):  # servers do repeat what they were sent
        code = next(status)
        said = KEY[:8] + "***" if code in (401, 403) else _lower(headers)["authorization"]
        return Answer({"error": {"message": f"bad: {said}"}}, code)

    told = []
    for codes in ([400], [401], [403], [422], [500], [429]):
        status = itertools.cycle(codes)
        with ChatServer(echo) as server:
            partner = ChatSimulator("m", server.url, retries=1, backoff=0.01)
            with pytest.raises(SimulatorError) as caught:
                partner.replies([PIANO])
            assert _lower(server.headers[0])["authorization"] == f"Bearer {KEY}", "the test proves nothing"
        error = caught.value
        while error is not None:
            told += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
            error = error.__cause__ or error.__context__
        told += [repr(partner), partner.spec, repr(partner.transport), repr(partner.usage)]
    refused = ChatEndpoint("m", f"http://127.0.0.1:{free_port()}/v1", retries=0)
    with pytest.raises(SimulatorError) as caught:
        refused.complete(HELLO)
    told += traceback.format_exception(caught.value)
    with ChatServer("Fine.") as server:
        policy = ChatPolicy("m", "wordle", base_url=server.url)
        rollout(policy, "wordle", [0], save_to=tmp_path / "games.jsonl")
    told += [(tmp_path / "games.jsonl").read_text(), policy.name, repr(policy), caplog.text, *capfd.readouterr()]
    for strange in (f"sk-…{KEY}", f"sk\n{KEY}", f"“{KEY}”"):  # what no header may hold
        monkeypatch.setenv("OPENAI_API_KEY", strange)
        with ChatServer("Fine.") as server, pytest.raises(SimulatorError, match="OPENAI_API_KEY holds a character") as caught:
            endpoint(server).complete(HELLO)
        assert not server.requests
        told += [repr(caught.value), *traceback.format_exception(caught.value)]
    assert len(caplog.text) > 1000 and not [text for text in told if KEY in text]
    assert not [text for text in told if f"{KEY[:8]}***" in text], "a part of the key"


def test_half_a_character_is_said_at_once():
    with ChatServer("Fine.") as server:
        with pytest.raises(SimulatorError, match=r"half a character.*\(tried once\)"):
            endpoint(server).complete([conversation("s", ["\ud83d is it?"])])
        assert not server.requests


def test_a_key_is_needed_but_on_this_machine_and_a_new_one_counts_at_once(monkeypatch):
    with pytest.raises(SimulatorError, match="OPENAI_API_KEY"):
        ChatEndpoint("m")
    with pytest.raises(SimulatorError, match="OPENAI_API_KEY"):
        ChatEndpoint("m", "http://203.0.113.7/v1")
    for url in ("http://localhost:1/v1", "http://127.0.0.1/v1", "http://127.9.9.9", "http://[::1]:8000/v1"):
        ChatEndpoint("m", url)
    with ChatServer("Fine.") as server:
        model = endpoint(server)
        for key in ("first", "second"):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            model.complete(HELLO)
    assert [_lower(headers)["authorization"] for headers in server.headers] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("url", [f"http://user:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"https://host/#{KEY}", f"ftp://{KEY}",
                                 f"{KEY}.org/v1", f"http:///{KEY}"])
def test_an_address_that_may_hold_a_secret_is_refused_without_saying_it(url):
    with pytest.raises(ValueError, match="OPENAI_API_KEY") as caught:
        ChatEndpoint("m", url)
    assert KEY not in "".join(traceback.format_exception(caught.value)).replace(f"url = {url!r}", "")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(SimulatorError, match=re.escape("pip install 'lmrl-lab[chat]'")):
        ChatEndpoint("m", "http://localhost/v1")


NAMES = st.text(string.ascii_letters + string.digits + ":/-._@", min_size=1).filter(lambda name: "@http" not in name)


@settings(max_examples=10, deadline=None)
@given(NAMES, st.sampled_from(["http://localhost:8000/v1", "http://127.0.0.1:1", "http://[::1]:9/a/b"]))
def test_a_spec_builds_the_same_again(name, url):
    first = ChatEndpoint(name, url + "/")
    again = transport(first.spec)
    assert (again.model, again.base_url, again.spec) == (name, url, first.spec)
    assert transport(f"transformers:{name}").spec == f"transformers:{name}" == LocalModel(name).spec
    assert chat.full_spec(f"{first.spec}/") == chat.full_spec(first.spec) == first.spec


def test_openai_s_own_address_is_not_in_the_spec(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert ChatEndpoint("gpt").spec == "chat:gpt" and ChatEndpoint("gpt").base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:5/v1")
    assert ChatEndpoint("gpt").spec == "chat:gpt@http://localhost:5/v1"  # a transcript says where its words came from


# ---------------------------------------------------------------------------------------------- local models

TEMPLATE = ("{% for m in messages %}{% if m['role'] == 'system' and no_system %}{{ raise_exception('no system') }}{% endif %}"
            "<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of tiny models whose words depend on every word before: causal with and without a chat template, and a T5."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
    root = tmp_path_factory.mktemp("models")
    lines = ["Is it a piano? Yes.", "No, it is not alive.", "What do you know about the object?"] * 3

    def tokenizer(ends):
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        bpe.train_from_iterator(lines, trainers.BpeTrainer(
            vocab_size=320, special_tokens=["<pad>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        if ends:
            bpe.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="</s>", model_max_length=10**30)

    torch.manual_seed(0)
    special = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_positions=2000, n_embd=32, n_layer=2, n_head=2, initializer_range=0.4,
                                     **special))
    t5 = T5ForConditionalGeneration(T5Config(vocab_size=320, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2,
                                             initializer_factor=3.0, decoder_start_token_id=0, eos_token_id=1, pad_token_id=0))
    for name, model, template in ("plain", gpt, None), ("chat", gpt, TEMPLATE), (
            "no-system", gpt, TEMPLATE.replace("and no_system", "")), ("t5", t5, None):
        words = tokenizer(name == "t5")
        words.chat_template = template
        model.save_pretrained(root / name)
        words.save_pretrained(root / name)
    return root


QUESTIONS = ["Is it alive?", "What do you know about the object, and is it a piano?", "No?", "Yes. Yes. Yes. Is it not?", "it"]
KINDS = ["plain", "chat", "no-system", "t5"]


@pytest.mark.parametrize("kind", KINDS)
def test_batches_say_what_a_slow_loop_says_token_by_token(folders, kind):
    """The oracle: the likeliest token of a whole forward pass without cache, padding or batch, again and again."""
    import torch
    local = LocalModel(folders / kind, max_new_tokens=12, batch=2)
    asked = [conversation("Be short.", ["Is it?", "No.", question]) for question in QUESTIONS]
    said = local.complete(asked)
    tokenizer, model = local._loaded
    alone = []
    for one in asked:
        ids, new = local._encoded(one), [0] if kind == "t5" else []
        start = len(new)
        while len(new) - start < 12 and 1 not in new[start:]:
            with torch.inference_mode():
                inputs = ({"input_ids": torch.tensor([ids]), "decoder_input_ids": torch.tensor([new])} if kind == "t5" else
                          {"input_ids": torch.tensor([ids + new])})
                new.append(int(model(**inputs, use_cache=False).logits[0, -1].argmax()))
        alone.append(tokenizer.decode(new, skip_special_tokens=True))
    assert said == alone and len(set(said)) >= 3, "the models say the same whatever they are asked"
    assert LocalModel(folders / kind, max_new_tokens=12, batch=16).complete(asked) == said
    read = sum(len(local._encoded(one)) for one in asked)
    assert local.usage.requests == 5 and local.usage.prompt_tokens == read and 5 <= local.usage.completion_tokens <= 60 + 5


def test_what_a_local_model_reads(folders):
    asked = conversation("Be short.", ["Is it?", "No.", "Why?"])
    read = {kind: (local := LocalModel(folders / kind))._loaded[0].decode(local._encoded(asked)) for kind in KINDS}
    assert read == {
        "plain": "Be short.\n\nThem: Is it?\nYou: No.\nThem: Why?\nYou:",
        "chat": "<system>Be short.\n<user>Is it?\n<assistant>No.\n<user>Why?\n<assistant>",
        "no-system": "<user>Be short.\n\nIs it?\n<assistant>No.\n<user>Why?\n<assistant>",
        "t5": "Be short.\n\nThem: Is it?\nYou: No.\nThem: Why?\nYou:</s>"}


@pytest.mark.parametrize("kind", ["plain", "chat"])
def test_where_a_conversation_is_too_long_the_oldest_turns_go_and_the_instruction_stays(folders, kind):
    local = LocalModel(folders / kind)
    turns = [f"{'question' if i % 2 == 0 else 'answer'} {i}" for i in range(201)]
    asked = conversation("The instruction.", turns)
    for local.max_new_tokens in (12, 20, 28, 36):
        ids = local._ids(asked)
        read = local._loaded[0].decode(ids)
        kept = [turn for turn in turns if re.search(rf"{turn}\b", read)]
        assert "The instruction." in read and kept == turns[-len(kept):] and kept[0].startswith("question") and len(kept) < 201
        longer = conversation("The instruction.", turns[-len(kept) - 2:])
        assert len(ids) <= 2000 - local.max_new_tokens < len(local._encoded(longer)), "fewer turns than fit"
    assert len(local.complete([asked])) == 1
    with pytest.raises(SimulatorError, match="room for 1964 tokens"):
        local.complete([conversation("long " * 2000, ["Is it?"])])


def test_a_t5_has_no_length_but_its_tokenizer_s(folders):
    local = LocalModel(folders / "t5", max_new_tokens=3)
    asked = conversation("The instruction.", [f"turn {i}" for i in range(151)])
    assert len(local._ids(asked)) == len(local._encoded(asked)) > 1000
    local._loaded[0].model_max_length = 100
    assert 80 < len(local._ids(asked)) <= 100


def test_draws_are_the_same_for_the_same_seed_and_leave_the_generator_alone(folders):
    import torch
    asked, before = [conversation("Be short.", ["Is it?"])] * 4, torch.get_rng_state()
    said = [LocalModel(folders / "plain", temperature=1.0, seed=seed).complete(asked) for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2] and len(set(said[0])) > 1
    warm = LocalModel(folders / "plain", temperature=1.0, seed=1)
    assert warm.complete(asked) == said[0] != warm.complete(asked), "the second call must draw anew"
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_is_loaded_late_and_one_that_cannot_be_is_named(folders, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (broken / name).write_bytes((folders / "plain" / name).read_bytes())
    (broken / "model.safetensors").write_bytes(b"no weights")
    for name in (tmp_path / "nowhere", broken, "some/name-on-the-hub"):
        partner = TransformersSimulator(name)
        with pytest.raises(SimulatorError, match=re.escape(f"'{name}' could not be loaded")):
            partner.replies([PIANO])


def test_the_room_is_light():
    code = ("import sys, lmrl_lab.rollout; from lmrl_lab.simulators import simulator; simulator('transformers:nowhere');"
            "print([m for m in ('torch', 'transformers', 'openai', 'pandas') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---------------------------------------------------------------------------------------------- a real server

@pytest.fixture(scope="module")
def served(folders, tmp_path_factory):
    """base_url of `transformers serve` with the tiny chat model, in a process of its own."""
    port, log = free_port(), tmp_path_factory.mktemp("serve") / "log.txt"
    names = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent), "OMP_NUM_THREADS": "1"}
    with open(log, "w") as out:
        process = subprocess.Popen([sys.executable, "-m", "transformers.cli.transformers", "serve", str(folders / "chat"),
                                    "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)],
                                   env=os.environ | names, stdout=out, stderr=out)
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.fail(f"the server stopped: {log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(f"the server does not answer: {log.read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_model_says_the_same_behind_a_server_and_in_this_process(folders, served):
    far = ChatSimulator(str(folders / "chat"), served, max_tokens=12)
    near = TransformersSimulator(folders / "chat", max_new_tokens=12)
    asked = [dataclasses.replace(PIANO, turns=("Questions:", "Is it?", "No.", question)) for question in QUESTIONS]
    said = far.replies(asked)
    assert said == near.replies(asked) and len(set(said)) >= 3
    assert far.usage == near.usage and far.usage.requests == 5
    assert far.replies(asked) == said and far.usage.requests == 5


class Curious(ScriptedPolicy):
    """Asks one of three things."""

    name = "curious"

    def choose(self, rng, memory, observation, info):
        return ("Is it far away?", "What do people eat there?", "Is it a piano?")[rng.integers(3)]


def test_whole_games_with_a_partner_behind_a_real_server_are_those_with_it_in_this_process(folders, served):
    partners = [ChatSimulator(str(folders / "chat"), served, max_tokens=8),
                TransformersSimulator(folders / "chat", max_new_tokens=8)]
    far, near = (rollout(Curious(), "guess-my-city", range(2), simulator=partner) for partner in partners)
    assert [game.turns for game in far] == [game.turns for game in near]
    assert {len(game.actions) for game in far} == {20} and len({text for game in far for text in game.observations}) > 10
    assert [game[0].info["keywords"]["simulator"] for game in (far, near)] == [partner.spec for partner in partners]
    assert 2 <= partners[0].usage.requests <= 40, "each step is asked once, and nothing twice"


def test_a_player_behind_a_real_server_plays_to_the_end(folders, served, tmp_path):
    policy = ChatPolicy(str(folders / "chat"), "wordle", base_url=served, max_tokens=8)
    games = rollout(policy, "wordle", [1, 2, 3], save_to=tmp_path / "games.jsonl")
    local = ChatPolicy(f"transformers:{folders / 'chat'}", "wordle", max_new_tokens=8)
    assert [game.actions for game in games] == [game.actions for game in rollout(local, "wordle", [1, 2, 3])]
    assert all(len(game.actions) == 6 and game.terminated for game in games)
    assert policy.usage.requests == 18 == local.usage.requests and policy.usage.completion_tokens > 0
    assert {json.loads(line)["policy"] for line in open(tmp_path / "games.jsonl")} == {f"chat:{folders / 'chat'}@{served}"}
