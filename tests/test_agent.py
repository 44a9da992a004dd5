"""Agents: the cached decoder against the reference, on a trained model; sampling; files."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import lmrl_lab as lab
from lmrl_lab.agent import Agent, Decoding, load_agent
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.models import head, seeded, tiny_model, trunk
from lmrl_lab.rollout import ReferenceAgent, rollout
from tests.test_tokens import bpe_codec


@pytest.fixture(scope="module")
def trained():
    """An agent for each context, trained a little: ties of an untrained model would hide mistakes."""
    made = {}
    for task, context in [("maze-fo", "turn"), ("maze-po", "episode"), ("maze-po", 2)]:
        data = lab.generate(task, 60, seed=3)
        made[task, context] = lab.train("bc", task, data, seed=1, context=context, steps=25, batch_size=16)
    return made


@pytest.fixture(scope="module")
def spelled():
    """A maze agent whose actions are several tokens long: a byte-level BPE and a tiny GPT-2 with random weights."""
    codec = bpe_codec()
    with seeded(0):
        model = GPT2LMHeadModel(GPT2Config(vocab_size=codec.vocab_size, n_positions=2048, n_layer=2, n_embd=32, n_head=2,
                                           initializer_range=0.2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
                                           bos_token_id=None, eos_token_id=None))
    codec.max_action_tokens = 6
    return model, codec


def short_games(policy, task="maze-po", steps=6, games=4):
    """Episodes cut after a few turns (the reference is slow); one row is finished before the others."""
    envs = [lab.make(task) for _ in range(games)]
    started = [env.reset(seed=n) for n, env in enumerate(envs)]
    observations, infos = [text for text, _ in started], [info for _, info in started]
    policy.reset(list(range(games)))
    turns = [[Turn(text, False)] for text in observations]
    for step in range(steps):
        if step == steps // 2:
            observations[2] = None
        for n, action in enumerate(policy.act(observations, infos)):
            if action is not None:
                observations[n], reward, terminated, _, infos[n] = envs[n].step(action)
                turns[n] += [Turn(action, True, reward, *policy.last_choices[n]), Turn(observations[n], False)]
                observations[n] = None if terminated else observations[n]
    return [Episode(task, t, False, True) for t in turns]


CASES = [("maze-fo", "turn"), ("maze-po", "episode"), ("maze-po", 2)]


def assert_same_games(fast, slow):
    for a, b in zip(fast, slow, strict=True):
        assert a.actions == b.actions and a.total_return == b.total_return
        for x, y in zip(a.turns, b.turns, strict=True):
            assert x.token_ids == y.token_ids
            if x.is_action:
                assert x.logprobs == pytest.approx(y.logprobs, abs=1e-5)


@pytest.mark.parametrize("task, context", CASES)
@pytest.mark.parametrize("decoding", [Decoding(0), Decoding(1), Decoding(0.5), Decoding(0, True), Decoding(1, True),
                                      Decoding(1, min_p=0.6)], ids=str)
def test_cached_ragged_rollouts_equal_the_reference(trained, task, context, decoding):
    agent = Agent(trained[task, context].policy_model, trained[task, context].codec, task, context, decoding)
    assert_same_games(short_games(agent, task, 16), short_games(ReferenceAgent(agent), task, 16))


def test_whole_games_with_a_cache_equal_the_reference(trained):
    agent = trained["maze-po", "episode"].with_decoding(legal_only=True)
    assert_same_games(rollout(agent, "maze-po", range(3)), rollout(ReferenceAgent(agent), "maze-po", range(3)))


@pytest.mark.parametrize("context", ["turn", 1, "episode"])
@pytest.mark.parametrize("temperature", [0, 1])
def test_actions_of_several_tokens_equal_the_reference(spelled, context, temperature):
    model, codec = spelled
    agent = Agent(model, codec, "maze-po", context if context != "episode" else 20, Decoding(temperature))
    assert_same_games(short_games(agent), short_games(ReferenceAgent(agent)))
    if context == "episode":
        agent = Agent(model, codec, "maze-po", "episode", Decoding(temperature))
        assert_same_games(short_games(agent), short_games(ReferenceAgent(agent)))


def test_legal_actions_of_several_tokens_are_scored_by_all_their_tokens(spelled):
    model, codec = spelled
    agent = Agent(model, codec, "maze-po", "turn", Decoding(1, legal_only=True))
    legal, context = lab.TASKS["maze-po"].actions, [Turn("There is a wall above you.\n", False)]
    slow = []
    for action in legal:
        prefix, ids = list(codec.encode(context)[0]), list(codec.action_ids(action))
        with torch.no_grad():
            logprobs = torch.log_softmax(model(torch.tensor([prefix + ids])).logits[0], -1)
        slow.append(float(np.exp(sum(float(logprobs[len(prefix) - 1 + j, t]) for j, t in enumerate(ids)))))
    [fast] = agent.action_probabilities([context], [legal])
    assert fast == pytest.approx(slow, rel=1e-4)
    agent.reset(list(range(400)))
    chosen = agent.act([context[0].text] * 400, [{"legal_actions": legal}] * 400)
    shares = [chosen.count(action) / 400 for action in legal]
    assert shares == pytest.approx((np.array(slow) / sum(slow)).tolist(), abs=0.08)


def test_legal_only_in_a_whole_transcript_with_actions_of_several_tokens(spelled):
    """The chosen action is fed on: greedy legal play equals scoring each turn from scratch."""
    model, codec = spelled
    cached, window = (Agent(model, codec, "maze-po", context, Decoding(0, legal_only=True)) for context in ("episode", 50))
    assert [e.actions for e in short_games(cached)] == [e.actions for e in short_games(window)]


def test_a_game_does_not_depend_on_its_neighbours(trained):
    agent = trained["maze-po", "episode"]
    together = rollout(agent, "maze-po", range(9))
    apart = [rollout(agent, "maze-po", [seed])[0] for seed in (0, 4, 8)]
    assert [together[i].actions for i in (0, 4, 8)] == [e.actions for e in apart]
    assert [e.actions for e in rollout(agent, "maze-po", range(9), batch=4)] == [e.actions for e in together]


def test_equal_contexts_are_computed_once(trained, monkeypatch):
    agent, sizes = trained["maze-fo", "turn"], []
    after = Agent._after
    monkeypatch.setattr(Agent, "_after", lambda self, windows: sizes.append(len(windows)) or after(self, windows))
    rollout(agent, "maze-fo", range(60))
    assert 2 <= max(sizes) <= 25  # there are 25 squares


def test_drawn_tokens_follow_the_softmax(trained):
    agent = trained["maze-fo", "turn"]
    text, info = lab.make("maze-fo").reset(options={"start": (5, 6)})
    agent.reset(list(range(4000)))
    drawn = agent.act([text] * 4000, [info] * 4000)
    [expected] = agent.action_probabilities([[Turn(text, False)]], [info["legal_actions"]])
    assert [drawn.count(a) / 4000 for a in info["legal_actions"]] == pytest.approx(expected.tolist(), abs=0.03)
    logprobs = {a: agent.last_choices[drawn.index(a)][1][0] for a in set(drawn) if a in info["legal_actions"]}
    for action, value in logprobs.items():
        assert np.exp(value) == pytest.approx(expected[info["legal_actions"].index(action)], rel=1e-4)


def test_top_actions_are_sorted_and_agree_with_probabilities(trained):
    for (task, _), agent in trained.items():
        episode = lab.generate(task, 60, seed=3)[0]
        turns, legal = episode.turns[:7], lab.TASKS[task].actions
        top = agent.top_actions(turns, legal, n=3)
        [expected] = agent.action_probabilities([turns], [legal])
        assert [t["probability"] for t in top] == pytest.approx(sorted(expected, reverse=True)[:3])
        assert {t["action"] for t in top} <= set(legal) and top[0]["value"] is None
        sampled = agent.top_actions(turns, None, n=8)  # an open set: sampled actions with the probabilities they have
        for found in sampled:
            if found["action"] in legal:
                assert found["probability"] == pytest.approx(expected[legal.index(found["action"])], rel=1e-3)


def test_head_after_trunk_is_the_model(trained):
    model = trained["maze-po", "episode"].policy_model
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.allclose(head(model)(trunk(model)(ids).last_hidden_state), model(ids).logits, atol=1e-5)


def test_a_transcript_that_outgrows_the_model_says_what_to_do():
    card = lab.TASKS["maze-po"]
    model, codec = tiny_model(card, 1, seed=0)
    agent = Agent(model, codec, "maze-po", "episode")
    with pytest.raises(ValueError, match="shorter context"):
        rollout(agent, "maze-po", [0])


def test_saved_agents_play_the_same_games(trained, tmp_path):
    for (task, context), agent in trained.items():
        agent.with_decoding(temperature=0.7).save(tmp_path / task / str(context))
        back = load_agent(tmp_path / task / str(context))
        assert (back.task, back.context, back.decoding.temperature, back.name) == (task, context, 0.7, "BC")
        assert_same_games(rollout(back, task, range(3)), rollout(agent.with_decoding(temperature=0.7), task, range(3)))


def test_saving_again_replaces_and_never_overwrites_what_is_no_agent(trained, tmp_path):
    agent = trained["maze-fo", "turn"]
    agent.save(tmp_path / "a")
    agent.with_decoding(temperature=0).save(tmp_path / "a")
    assert load_agent(tmp_path / "a").decoding.temperature == 0
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not an agent"):
        agent.save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_folder_with_a_missing_or_changed_file_is_refused_by_name(trained, tmp_path):
    trained["maze-fo", "turn"].save(tmp_path / "whole")
    for victim in ["policy/model.safetensors", "policy/tokenizer.json", "policy/config.json"]:
        shutil.copytree(tmp_path / "whole", tmp_path / "bad", dirs_exist_ok=True)
        data = (tmp_path / "bad" / victim).read_bytes()
        (tmp_path / "bad" / victim).unlink()
        with pytest.raises(FileNotFoundError, match=victim):
            load_agent(tmp_path / "bad")
        (tmp_path / "bad" / victim).write_bytes(data[:len(data) // 2])
        with pytest.raises(ValueError, match=victim):
            load_agent(tmp_path / "bad")
    shutil.copytree(tmp_path / "whole", tmp_path / "bad", dirs_exist_ok=True)
    (tmp_path / "bad" / "agent.json").write_text((tmp_path / "whole" / "agent.json").read_text()[:50])
    with pytest.raises(ValueError, match="agent.json"):
        load_agent(tmp_path / "bad")
    with pytest.raises(FileNotFoundError, match="no saved agent"):
        load_agent(tmp_path / "nowhere")
    record = json.loads((tmp_path / "whole" / "agent.json").read_text())
    assert set(record) == {"format", "task", "name", "context", "decoding", "value", "files"}


def test_decoding_is_checked():
    for bad in (-1, float("nan")):
        with pytest.raises(ValueError, match="temperature"):
            Decoding(bad)
    for bad in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="min_p"):
            Decoding(min_p=bad)


def test_min_p_keeps_what_the_policy_alone_finds_likely_and_values_cannot_overrule_it():
    logits, q = torch.log(torch.tensor([[0.5, 0.3, 0.06, 0.14]])), torch.tensor([[0.0, 1.0, 9.0, 2.0]])
    drawn = torch.softmax(Decoding(beta=2, min_p=0.2).guided(logits, q), -1)[0]  # .06 is less than a fifth of .5
    weights = torch.tensor([0.5, 0.3 * np.e**2, 0.0, 0.14 * np.e**4])
    assert drawn.tolist() == pytest.approx((weights / weights.sum()).tolist(), abs=1e-6)
    only_such = Decoding(min_p=0.9).guided(logits, None)[0, [2, 3]]  # where just unlikely ones are legal they keep their order
    assert torch.softmax(only_such, -1).tolist() == pytest.approx([0.3, 0.7], abs=1e-3)


# ------------------------------------------------------------------------------------------ models from a folder

def save_pretrained(folder, kind, codec):
    """A tiny model of another family and its byte-level BPE, as a hub would bring them."""
    from transformers import AutoConfig, AutoModelForCausalLM
    sizes = {"gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 512}}.get(kind, {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 48})
    with seeded(0):
        config = AutoConfig.for_model(kind, vocab_size=codec.vocab_size, bos_token_id=None, eos_token_id=0, **sizes)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    codec.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
def test_any_causal_model_from_a_folder_trains_plays_and_equals_the_reference(tmp_path, kind):
    folder = save_pretrained(tmp_path / kind, kind, bpe_codec())
    agent = lab.train("bc", "maze-po", lab.generate("maze-po", 8, seed=3), model=folder, context=1, steps=3)
    agent.codec.max_action_tokens = 6
    assert_same_games(short_games(agent, steps=3), short_games(ReferenceAgent(agent), steps=3))
    agent.save(tmp_path / "agent")
    back = load_agent(tmp_path / "agent")
    assert type(back.policy_model) is type(agent.policy_model) and back.codec.fingerprint == agent.codec.fingerprint


def test_a_checkpoint_that_lacks_weights_is_refused_by_name(tmp_path):
    from safetensors.torch import load_file, save_file
    folder = save_pretrained(tmp_path / "llama", "llama", bpe_codec())
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layers.1" not in k}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="not whole.*layers.1"):
        lab.train("bc", "maze-po", lab.generate("maze-po", 3, seed=3), model=folder, context=1, steps=1)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:500])
    with pytest.raises(ValueError, match="could be loaded"):
        lab.train("bc", "maze-po", lab.generate("maze-po", 3, seed=3), model=folder, context=1, steps=1)


def test_a_model_with_a_sliding_window_is_refused(tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM
    config = AutoConfig.for_model("qwen2", vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                                  num_key_value_heads=1, intermediate_size=48, use_sliding_window=True, sliding_window=8,
                                  max_window_layers=1)
    with pytest.raises(ValueError, match="sliding window"):
        Agent(AutoModelForCausalLM.from_config(config), bpe_codec(), "maze-po", 1)


def test_an_action_ends_at_a_newline_or_at_the_end_of_text_and_never_grows_too_long(spelled):
    codec = spelled[1]
    words, eos = list(codec.action_ids("move up"))[:-1], codec.tokenizer.eos_token_id
    assert codec.decode_action([*words, eos]) == codec.decode_action(codec.action_ids("move up")) == "move up"
    assert len(codec.decode_action(words * 300)) == 1_000


def test_a_tokenizer_that_drops_newlines_is_refused():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from lmrl_lab.tokens import Codec
    core = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "move": 2}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ValueError, match="newlines"):
        Codec(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]"), lab.TASKS["maze-po"])


def test_advice_on_a_game_of_another_tokenizer_reads_its_text(trained, spelled):
    agent = trained["maze-po", 2]
    turns = short_games(Agent(*spelled, "maze-po", 1), steps=2)[0].turns[:3]
    plain = [Turn(t.text, t.is_action) for t in turns]
    legal = lab.TASKS["maze-po"].actions
    assert agent.top_actions(turns, legal) == agent.top_actions(plain, legal)


def test_a_save_that_fails_half_way_keeps_the_old_agent(trained, tmp_path, monkeypatch):
    import os
    agent, replace = trained["maze-fo", "turn"], os.replace
    agent.save(tmp_path / "a")

    def fail(source, target):
        if str(source).endswith(".part") and str(target).endswith("a"):
            raise OSError("the disk went away")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="went away"):
        agent.with_decoding(temperature=0).save(tmp_path / "a")
    assert load_agent(tmp_path / "a").decoding.temperature == 1 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("change", [{"name": None}, {"decoding": {"heat": 1}}, {"context": "all"}, {"task": "mase-fo"}])
def test_an_agent_json_that_makes_no_sense_is_refused(trained, tmp_path, change):
    trained["maze-fo", "turn"].save(tmp_path / "a")
    record = {**json.loads((tmp_path / "a" / "agent.json").read_text()), **change}
    (tmp_path / "a" / "agent.json").write_text(json.dumps({k: v for k, v in record.items() if v is not None}))
    with pytest.raises(ValueError, match="agent.json"):
        load_agent(tmp_path / "a")
