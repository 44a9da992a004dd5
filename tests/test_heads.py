"""Heads against slow loops; a model whose head knows the parts of tokens is saved, loaded and decoded like any other."""

import math

import pytest
import torch

import lmrl_lab as lab
from lmrl_lab.heads import PartsHead, PlainHead
from lmrl_lab.models import pretrained_model, save_weights, seeded, tiny_model
from lmrl_lab.rollout import ReferenceAgent, rollout
from lmrl_lab.tasks.wordle import letters

PARTS = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0], [1, 1, 0]])


def filled(head, seed=3):
    with seeded(seed), torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=0.4)
    return head.double()


@torch.no_grad()
def test_a_parts_head_is_its_formula():
    head = filled(PartsHead(4, PARTS, scores=2))
    hidden = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    out = head(hidden)
    for n, h in enumerate(hidden):
        inner = torch.relu(head.inner.weight @ h + head.inner.bias)
        scores = (head.score.weight @ inner + head.score.bias).view(2, 3)
        gate, level = head.gate.weight @ inner + head.gate.bias, float(head.level.weight @ inner + head.level.bias)
        for token, parts in enumerate(PARTS):
            if not parts.any():
                assert out[n, token] == head.bias[token]
                continue
            found = level + float(head.bias[token])
            for k in range(2):
                found += float(gate[k]) * math.log1p(math.exp(sum(float(scores[k, p]) for p in range(3) if parts[p])))
            assert float(out[n, token]) == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("head", [filled(PlainHead(4, 5)), filled(PartsHead(4, PARTS))], ids=["plain", "parts"])
def test_the_values_of_taken_tokens_are_those_of_all(head):
    hidden = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    rows, tokens = torch.tensor([0, 5, 5, 2]), torch.tensor([1, 4, 0, 2])
    assert torch.allclose(head.taken(hidden, rows, tokens), head(hidden)[rows, tokens])


@pytest.mark.parametrize("head", [PlainHead(4, 5), PartsHead(4, PARTS)], ids=["plain", "parts"])
def test_all_values_begin_at_the_number_that_is_asked(head):
    with torch.no_grad():
        head.start_at(-0.3)
    assert torch.allclose(head(torch.randn(7, 4)), torch.tensor(-0.3))


def test_what_is_learnt_about_a_part_holds_for_every_token_that_has_it():
    with seeded(0):
        head, hidden = PartsHead(8, PARTS), torch.randn(1, 8)
        torch.nn.init.ones_(head.gate.bias)
    before = head(hidden).detach()
    optimizer = torch.optim.SGD([head.score.bias], lr=1.0)
    head(hidden)[0, 1].backward()  # token 1 is made of parts 0 and 2
    optimizer.step()
    moved = (head(hidden).detach() - before)[0]
    assert (moved[[2, 4]] != 0).all() and (moved[[0, 3]] == 0).all()  # they share one part each; 0 and 3 have none


def test_the_letters_of_a_word_are_its_parts():
    assert letters("g e e s e") == ("1g", "2e", "3e", "4s", "5e", "g", "e", "s")
    for other in ("Wordle:\n", "(no word)", "1sb", "[PAD]", "geese", "s n a k"):
        assert letters(other) == ()
    table = tiny_model(lab.TASKS["wordle"], "episode", layers=1, width=16)[1].parts()
    assert int(table.any(1).sum()) == 400 and tiny_model(lab.TASKS["maze-fo"], "turn")[1].parts() is None


@pytest.fixture(scope="module")
def agents():
    games = lab.generate("wordle", 60, seed=2, cache=False, vocabulary=60)
    bc = lab.train("bc", "wordle", games, steps=40, learning_rate=4e-3)
    return bc, lab.train("ilql", "wordle", games, init=bc, steps=8)


def test_a_parts_model_comes_back_from_its_files(agents, tmp_path):
    save_weights(tmp_path, agents[0].policy_model, agents[0].codec)
    model, _ = pretrained_model(tmp_path, lab.TASKS["wordle"])
    ids = torch.tensor([[2, 3, 4]])
    assert torch.allclose(model(ids).logits, agents[0].policy_model(ids).logits, atol=1e-5)
    assert torch.equal(model.lm_head.parts, agents[0].policy_model.lm_head.parts)


def test_agents_with_parts_are_saved_and_loaded(agents, tmp_path):
    for agent in agents:
        again = lab.load_agent(agent.save(tmp_path / agent.name))
        assert again.fingerprint() == agent.fingerprint()
        played, before = (rollout(player, "wordle", [1, 2, 3], vocabulary=60) for player in (again, agent))
        assert [e.actions for e in played] == [e.actions for e in before]


def test_cached_rollouts_of_wordle_equal_the_reference(agents):
    agent = agents[1].with_decoding(temperature=0)
    fast, slow = (rollout(player, "wordle", list(range(8)), vocabulary=60) for player in (agent, ReferenceAgent(agent)))
    assert [e.actions for e in fast] == [e.actions for e in slow]
