"""Answers to the exercises of notebook 12, their stubs, and wrong answers that its checks must refuse."""

import torch
from torch.nn.functional import cross_entropy


def td_target(rewards, terminated, truncated, v_next, gamma):
    goes_on = ~terminated                       # a cut game goes on: `truncated` is not asked
    return rewards + gamma * goes_on * v_next.detach()


def td_target_stub(rewards, terminated, truncated, v_next, gamma):
    return rewards


def td_target_never_ends(rewards, terminated, truncated, v_next, gamma):
    return rewards + gamma * v_next.detach()


def td_target_ends_where_cut(rewards, terminated, truncated, v_next, gamma):
    return rewards + gamma * ~(terminated | truncated) * v_next.detach()


def td_target_bootstraps_only_where_cut(rewards, terminated, truncated, v_next, gamma):
    return rewards + gamma * truncated * v_next.detach()


def td_target_with_gradient(rewards, terminated, truncated, v_next, gamma):
    return rewards + gamma * ~terminated * v_next


def td_target_without_discount(rewards, terminated, truncated, v_next, gamma):
    return rewards + ~terminated * v_next.detach()


def td_target_drops_the_last_reward(rewards, terminated, truncated, v_next, gamma):
    return ~terminated * (rewards + gamma * v_next.detach())


def td_target_discounts_the_reward(rewards, terminated, truncated, v_next, gamma):
    return gamma * (rewards + ~terminated * v_next.detach())


def expectile_loss(difference, tau):
    weight = torch.where(difference < 0, 1 - tau, tau)
    return 0.5 * weight * difference**2


def expectile_loss_stub(difference, tau):
    return 0.5 * difference**2


def expectile_loss_flipped(difference, tau):
    return expectile_loss(difference, 1 - tau)


def expectile_loss_without_half(difference, tau):
    return 2 * expectile_loss(difference, tau)


def expectile_loss_mean(difference, tau):
    return expectile_loss(difference, tau).mean()


def expectile_loss_quantile(difference, tau):
    return torch.where(difference < 0, 1 - tau, tau) * difference.abs()


def expectile_loss_weight_squared(difference, tau):
    return 0.5 * (torch.where(difference < 0, 1 - tau, tau) * difference) ** 2


def expectile_loss_below_is_free(difference, tau):
    return 0.5 * tau * difference.clamp(min=0) ** 2


def expectile_loss_without_gradient(difference, tau):
    return expectile_loss(difference.detach(), tau)


def ilql_loss(q, v, target_q, y, tokens, weight, tau, cql):
    each = torch.arange(len(tokens))
    q_loss = 0.5 * ((q[:, each, tokens] - y) ** 2).sum(0)
    u = target_q[:, each, tokens].amin(0) - v
    v_loss = 0.5 * torch.where(u < 0, 1 - tau, tau) * u**2
    conservative = sum(torch.nn.functional.cross_entropy(head, tokens, reduction="none") for head in q)
    return (weight * (q_loss + v_loss + cql * conservative)).sum() / weight.sum()


def ilql_loss_stub(q, v, target_q, y, tokens, weight, tau, cql):
    return (0.0 * q).sum()


def ilql_loss_larger_target(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q.amax(0, keepdim=True), y, tokens, weight, tau, cql)


def ilql_loss_mean_of_targets(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q.mean(0, keepdim=True), y, tokens, weight, tau, cql)


def ilql_loss_smallest_of_all_tokens(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q.amin(-1, keepdim=True).expand(target_q.shape), y, tokens, weight, tau, cql)


def ilql_loss_largest_of_all_tokens(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q.amax(-1, keepdim=True).expand(target_q.shape), y, tokens, weight, tau, cql)


def ilql_loss_online_q(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, q.detach(), y, tokens, weight, tau, cql)


def ilql_loss_expectile_flipped(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q, y, tokens, weight, 1 - tau, cql)


def ilql_loss_first_head_only(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q[:1], v, target_q, y, tokens, weight, tau, cql)


def ilql_loss_mean_of_heads(q, v, target_q, y, tokens, weight, tau, cql):
    without_q = ilql_loss(q[:0], v, target_q, y, tokens, weight, tau, 0.0)
    return (ilql_loss(q, v, target_q, y, tokens, weight, tau, cql) + without_q) / 2


def ilql_loss_without_weight(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q, y, tokens, torch.ones_like(weight), tau, cql)


def ilql_loss_sum(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v, target_q, y, tokens, weight, tau, cql) * weight.sum()


def ilql_loss_cql_of_one_head(q, v, target_q, y, tokens, weight, tau, cql):
    conservative = cross_entropy(q[0], tokens, reduction="none")
    return ilql_loss(q, v, target_q, y, tokens, weight, tau, 0.0) + cql * (weight * conservative).sum() / weight.sum()


def ilql_loss_without_v(q, v, target_q, y, tokens, weight, tau, cql):
    lagged = target_q[:, torch.arange(len(tokens)), tokens].amin(0)
    return ilql_loss(q, lagged, target_q, y, tokens, weight, tau, cql) + 0 * v.sum()


def ilql_loss_v_without_gradient(q, v, target_q, y, tokens, weight, tau, cql):
    return ilql_loss(q, v.detach(), target_q, y, tokens, weight, tau, cql)


ANSWERS = {
    "td_target": {"answer": td_target, "stub": td_target_stub,
                  "wrong": [td_target_never_ends, td_target_ends_where_cut, td_target_bootstraps_only_where_cut,
                            td_target_with_gradient, td_target_without_discount, td_target_drops_the_last_reward,
                            td_target_discounts_the_reward]},
    "expectile_by_hand": {"answer": -4, "stub": None, "wrong": [-8, -2, -2.8, -9.71, 4, "-4", [-4]]},
    "expectile_loss": {"answer": expectile_loss, "stub": expectile_loss_stub,
                       "wrong": [expectile_loss_flipped, expectile_loss_without_half, expectile_loss_mean,
                                 expectile_loss_quantile, expectile_loss_weight_squared, expectile_loss_below_is_free,
                                 expectile_loss_without_gradient]},
    "ilql_loss": {"answer": ilql_loss, "stub": ilql_loss_stub,
                  "wrong": [ilql_loss_larger_target, ilql_loss_mean_of_targets, ilql_loss_smallest_of_all_tokens,
                            ilql_loss_largest_of_all_tokens, ilql_loss_online_q, ilql_loss_expectile_flipped,
                            ilql_loss_first_head_only, ilql_loss_mean_of_heads, ilql_loss_without_weight, ilql_loss_sum,
                            ilql_loss_cql_of_one_head, ilql_loss_without_v, ilql_loss_v_without_gradient]},
    "which_tau": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", "B or C", "", 1]},
}
