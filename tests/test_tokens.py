"""Tokens: the codec, packed rows by hand, contexts, counts, and the trap of text that tokenises back differently."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import lmrl_lab as lab
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.tokens import Codec, collate, discounted_returns, make_rows, pack, tiny_tokenizer


@pytest.fixture(scope="module")
def codec():
    return Codec(tiny_tokenizer(lab.TASKS["maze-po"]), lab.TASKS["maze-po"])


def bpe_codec():
    """A byte-level BPE trained on a few sentences, as a pretrained model would bring."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    texts = ["move up\nmove down\nmove left\nmove right\n", "There are walls to your right, to your left.\n"] * 20
    core.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=330, special_tokens=["<|end|>"],
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return Codec(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>"), lab.TASKS["maze-po"])


@pytest.fixture(scope="module")
def bpe():
    return bpe_codec()


def played(n=3, terminated=True, task="maze-po"):
    turns = [Turn("There is a wall above you.\n", False)]
    for k in range(n):
        reward = 0.0 if terminated and k == n - 1 else -1.0
        turns += [Turn(["move up", "move down", "move left", "move right"][k % 4], True, reward),
                  Turn("There are walls to your right, to your left.\n", False)]
    return Episode(task, turns, terminated, not terminated)


def test_every_maze_action_is_one_token_and_no_text_is_unknown():
    for task in ("maze-fo", "maze-po"):
        card = lab.TASKS[task]
        codec = Codec(tiny_tokenizer(card), card)
        assert codec.single_token_actions and len(codec.end_ids) == 4
        for action in card.actions:
            assert codec.decode_action(codec.action_ids(action)) == action
        unknown = codec.tokenizer.unk_token_id
        for episode in lab.generate(task, 60, seed=1):
            for turn, ids in zip(episode.turns, codec.encode(episode.turns), strict=True):
                assert unknown not in ids
                words = codec.tokenizer.convert_ids_to_tokens(list(ids))
                assert "".join("".join(words).split()) == "".join(turn.text.split())
            assert max(len(a) + len(b) for i in [codec.encode(episode.turns)]
                       for a, b in zip(i[::2], i[1::2], strict=False)) <= card.turn_tokens


def test_a_packed_episode_by_hand(codec):
    row = pack(played(2, terminated=True), codec, "episode", gamma=0.5)
    words = codec.tokenizer.convert_ids_to_tokens(row.input_ids.tolist())
    assert words == ["There is a wall", "above you.\n", "move up", "There are walls", "to your right,", "to your left.\n",
                     "move down"]
    assert row.action_mask.nonzero()[0].tolist() == [2, 6]
    assert row.rewards[[2, 6]].tolist() == [-1, 0] and row.rewards.sum() == -1
    assert row.returns[[2, 6]].tolist() == [-1 + 0.5 * 0, 0]
    assert row.next_pos[2] == 5  # the token before the next action, across the turn
    assert row.position_ids.tolist() == list(range(7)) and set(row.block) == {0}
    assert row.terminated and not row.truncated


def test_after_a_truncated_episode_the_value_is_read_at_the_final_observation_s_last_token(codec):
    row = pack(played(2, terminated=False), codec, "episode")
    assert len(row.input_ids) == 10 and row.next_pos[6] == 9 and row.truncated and not row.terminated
    assert codec.tokenizer.convert_ids_to_tokens([int(row.input_ids[9])]) == ["to your left.\n"]


def test_turn_context_packs_a_block_an_action_and_positions_start_anew(codec):
    row = pack(played(3, terminated=False), codec, "turn")
    assert row.block.tolist() == [0] * 3 + [1] * 4 + [2] * 4 + [3] * 3
    assert row.position_ids.tolist() == [*range(3), *range(4), *range(4), *range(3)]
    actions = row.action_mask.nonzero()[0]
    assert actions.tolist() == [2, 6, 10]
    assert row.next_pos[actions].tolist() == [5, 9, 13]


def test_k_turns_repeat_in_each_block_but_only_the_last_action_counts(codec):
    row = pack(played(3, terminated=False), codec, 1)
    # blocks: o a | o a o a | o a o a | o a o  with o of 2 (first) or 3 tokens
    assert np.bincount(row.block).tolist() == [3, 3 + 4, 4 + 4, 4 + 3]
    actions = row.action_mask.nonzero()[0]
    assert actions.tolist() == [2, 3 + 6, 10 + 7]
    assert row.next_pos[actions].tolist() == [8, 16, 24]
    assert row.rewards[actions].tolist() == [-1, -1, -1] and row.rewards.sum() == -3


def test_multi_token_actions_discount_once_a_token(bpe):
    episode = played(2, terminated=True)
    ids = bpe.encode(episode.turns)
    assert not bpe.single_token_actions and len(ids[1]) > 1
    row = pack(episode, bpe, "episode", gamma=0.9)
    first, second = len(ids[1]), len(ids[3])
    actions = row.action_mask.nonzero()[0]
    assert len(actions) == first + second
    # the reward -1 sits on the first action's last token; what is before it is discounted once a token
    assert row.returns[actions] == pytest.approx([-(0.9 ** (first - 1 - j)) for j in range(first)] + [0] * second)
    assert row.rewards[actions].tolist() == [0] * (first - 1) + [-1] + [0] * second
    assert row.next_pos[actions[:-1]].tolist() == (actions[1:] - 1).tolist()


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 4)), min_size=1, max_size=6), st.floats(0, 1))
def test_returns_equal_the_definition(steps, gamma):
    rewards, sizes = zip(*steps, strict=True)
    flat = [r for reward, n in steps for r in [0.0] * (n - 1) + [reward]]
    slow = [sum(gamma**k * r for k, r in enumerate(flat[t:])) for t in range(len(flat))]
    assert np.concatenate(discounted_returns(rewards, sizes, gamma)) == pytest.approx(slow, abs=1e-9)


def test_sampled_tokens_are_the_tokens_that_are_trained_on(bpe):
    """The text tokenises back to other tokens than were sampled; the sampled ones must survive."""
    episode = played(1, terminated=True)
    letters = [bpe.tokenizer.encode(ch)[0] for ch in "move up"] + list(bpe.action_ids("x"))[1:]
    assert bpe.decode_action(letters) == "move up" and tuple(letters) != bpe.action_ids("move up")
    episode.turns[1].token_ids = letters
    episode.info["tokenizer"] = bpe.fingerprint
    row = pack(episode, bpe, "episode")
    assert row.input_ids[row.action_mask].tolist() == letters
    episode.info["tokenizer"] = "another"  # ids of another tokenizer mean nothing here
    row = pack(episode, bpe, "episode")
    assert row.input_ids[row.action_mask].tolist() == list(bpe.action_ids("move up"))


def test_the_mask_never_comes_from_the_text(codec):
    """An observation that quotes an action holds its token; it is context all the same."""
    turns = [Turn("move up\n", False), Turn("move down", True, -1.0), Turn("move up\n", False)]
    row = pack(Episode("maze-po", turns, False, True), codec, "episode")
    assert row.action_mask.tolist() == [False, False, True, False, False]


def test_distinct_steps_carry_their_counts(codec):
    episodes = [played(3, terminated=False)] * 4 + [played(2)]
    rows = make_rows(episodes, codec, "turn", gamma=1.0)
    assert sum(row.weight for row in rows) == 4 * 3 + 2
    firsts = [r for r in rows if r.position_ids[r.action_mask][0] == 2 and not r.terminated]
    assert [r.weight for r in firsts] == [5]
    # 4 games go on to -3, one to -1: the mean return of the merged first step
    assert firsts[0].returns[firsts[0].action_mask] == pytest.approx([(4 * -3 + -1) / 5])


@pytest.mark.parametrize("context", ["turn", 1, 2])
def test_truncation_and_termination_are_never_merged(codec, context):
    over, cut = played(2, terminated=True), played(2, terminated=True)
    cut.turns[3].reward, cut.terminated, cut.truncated = 0.0, False, True
    rows = make_rows([over, cut], codec, context)
    assert sorted((r.terminated, r.truncated) for r in rows if r.terminated or r.truncated) == [(False, True), (True, False)]


def test_contexts_are_checked_and_zero_turns_is_turn(codec):
    for bad in ("turns", -1, 1.5, None, True):
        with pytest.raises(ValueError, match="context"):
            make_rows([played()], codec, bad)
    assert len(make_rows([played()], codec, 0)) == len(make_rows([played()], codec, "turn"))


def test_no_action_token_is_an_error(codec):
    row = pack(played(), codec, "episode")
    row.action_mask[:] = False
    with pytest.raises(ValueError, match="without any action token"):
        collate([row])
    with pytest.raises(ValueError, match="no action"):
        pack(played(), codec, "episode", steps=slice(5, 9))
    with pytest.raises(ValueError, match="no episodes"):
        make_rows([], codec, "turn")


def test_collate_pads_on_the_right_and_counts_weights(codec):
    rows = [pack(played(1), codec, "episode"), pack(played(3), codec, "episode")]
    rows[0].weight = 2.5
    batch = collate(rows)
    assert batch.normalizer == 2.5 + 3 and batch.input_ids.shape == (2, 11)
    assert not batch.action_mask[0, 3:].any() and (batch.block[0, 3:] == -1).all()
    assert batch.steps().weight.sum() == pytest.approx(5.5)
    assert batch.model_inputs().keys() == {"input_ids", "position_ids", "use_cache"}  # one block a row needs no mask


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 3), st.integers(1, 5), st.booleans())
def test_a_model_on_packed_blocks_sees_what_it_sees_on_each_block_alone(k, n, terminated):
    from lmrl_lab.models import tiny_model
    model, codec = tiny_model(lab.TASKS["maze-po"], 4, seed=1)
    batch = collate([pack(played(n, terminated), codec, k or "turn"), pack(played(6), codec, k or "turn")])
    with torch.no_grad():
        packed = model(**batch.model_inputs()).logits[0]
        for b in range(int(batch.block[0].max()) + 1):
            inside = batch.block[0] == b
            alone = model(input_ids=batch.input_ids[0, inside][None]).logits[0]
            assert torch.allclose(packed[inside], alone, atol=2e-5)


def contexts_of(batch):
    """What each step's state and next state should be: the tokens of its block up to the place where it is read."""
    states, following = [], []
    for b, t in batch.action_mask.nonzero().tolist():
        def seen(place, b=b):
            inside = (batch.block[b] == batch.block[b, place]) & (torch.arange(batch.block.shape[1]) <= place)
            return batch.input_ids[b, inside].tolist()
        last = t == max(batch.action_mask[b].nonzero()[:, 0].tolist())
        states.append(seen(t - 1))
        following.append(None if last and batch.terminated[b] else seen(int(batch.next_pos[b, t])))
    return states, following


@pytest.mark.parametrize("context", ["turn", 2, "episode"])
@pytest.mark.parametrize("which", ["codec", "bpe"])
def test_steps_read_each_state_and_next_state_at_its_own_tokens(context, which, request):
    codec = request.getfixturevalue(which)
    rows = make_rows([played(3, terminated=False), played(2), played(3, terminated=False), played(1)], codec, context, gamma=0.9)
    batch = collate(rows)
    for following in (False, True):
        steps = batch.steps(following)
        table, width = steps.inputs["input_ids"], steps.inputs["input_ids"].shape[1]
        seen = [table[place // width, :place % width + 1].tolist() for place in steps.places.tolist()]

        states, after = contexts_of(batch)
        assert [seen[which] for which in steps.state.tolist()] == states
        if following:
            found = [None if over else seen[which] for which, over in zip(steps.next_state.tolist(), steps.terminal.tolist())]
            assert found == after
        if context != "episode":  # nothing is read twice
            read_rows = [tuple(row) for row in table.tolist()]
            assert len(set(read_rows)) == len(read_rows)
    assert steps.tokens.tolist() == batch.input_ids[batch.action_mask].tolist()
    assert steps.rewards.tolist() == batch.rewards[batch.action_mask].tolist()
    assert int(steps.terminal.sum()) == sum(row.terminated for row in rows)
