"""Reference losses and gradients of every head, by automatic differentiation in JAX, in double precision.

Writes heads.npz beside this script; tests/heads/reference.rs reproduces it. The formulas are written from the papers, with arccos and
without any care for numerical trouble: the cases stay away from it.

    pip install "jax[cpu]" numpy && python tests/reference/make_heads.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
IGNORE = -100


def cosines(x, w):
    x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    w = w / jnp.linalg.norm(w, axis=1, keepdims=True)
    return x @ w.T


def mean_cross_entropy(logits, labels):
    kept = labels != IGNORE
    log_p = jax.nn.log_softmax(logits, axis=1)[jnp.arange(len(labels)), jnp.where(kept, labels, 0)]
    return -jnp.where(kept, log_p, 0.0).sum() / kept.sum()


def with_target_logit(x, w, labels, scale, psi):
    cos = cosines(x, w)
    is_target = labels[:, None] == jnp.arange(w.shape[0])
    return scale * jnp.where(is_target, psi(jnp.arccos(cos)), cos)


def sphereface(m):
    def psi(theta):
        k = jnp.floor(m * theta / jnp.pi)
        return (-1.0) ** k * jnp.cos(m * theta) - 2.0 * k

    return psi


def arcface(m, past_pi):
    def psi(theta):
        plain, past = jnp.cos(theta + m), theta >= jnp.pi - m
        return {
            "monotone": jnp.where(past, jnp.cos(theta) - m * jnp.sin(m), plain),
            "continuous": jnp.where(past, -2.0 - plain, plain),
            "easy": jnp.where(jnp.cos(theta) > 0.0, plain, jnp.cos(theta)),
            "plain": plain,
        }[past_pi]

    return psi


def curricularface(x, w, labels, scale, m, t):
    """t is brought up to date first, and a constant to the gradient."""
    cos = cosines(x, w)
    kept = labels != IGNORE
    own = cos[jnp.arange(len(labels)), jnp.where(kept, labels, 0)]
    t = jax.lax.stop_gradient(0.01 * jnp.where(kept, own, 0.0).sum() / kept.sum() + 0.99 * t)
    theta = jnp.arccos(own)
    target = jnp.where(theta >= jnp.pi - m, own - m * jnp.sin(m), jnp.cos(theta + m))
    others = jnp.where(cos > jnp.cos(theta + m)[:, None], cos * (t + cos), cos)
    is_target = labels[:, None] == jnp.arange(w.shape[0])
    return mean_cross_entropy(scale * jnp.where(is_target, target[:, None], others), labels)


def cross_entropy_of(cos, target, others, scale, labels):
    """Cross-entropy of scaled logits: `target` (B,) for the labelled class, `others` (B, C) for the rest."""
    is_target = labels[:, None] == jnp.arange(cos.shape[1])
    return mean_cross_entropy(scale * jnp.where(is_target, target[:, None], others), labels)


def own_cosines(cos, labels):
    return cos[jnp.arange(len(labels)), jnp.where(labels != IGNORE, labels, 0)]


def mv_softmax(x, w, labels, scale, form, m, t, reweighting):
    cos = cosines(x, w)
    own = own_cosines(cos, labels)
    theta = jnp.arccos(own)
    threshold = own - m if form == "am" else jnp.cos(theta + m)
    target = arcface(m, "monotone")(theta) if form == "arc" else threshold
    hard = (t + 1.0) * cos + t if reweighting == "adaptive" else cos + t
    return cross_entropy_of(cos, target, jnp.where(cos > threshold[:, None], hard, cos), scale, labels)


def magface(x, w, labels, scale, l_a, u_a, l_m, u_m, lambda_g, past_pi):
    cos = cosines(x, w)
    a = jnp.clip(jnp.linalg.norm(x, axis=1), l_a, u_a)
    m = l_m + (u_m - l_m) / (u_a - l_a) * (a - l_a)
    g = lambda_g * (a / u_a**2 + 1.0 / a)
    kept = labels != IGNORE
    mean_g = jnp.where(kept, g, 0.0).sum() / kept.sum()
    return cross_entropy_of(cos, arcface(m, past_pi)(jnp.arccos(own_cosines(cos, labels))), cos, scale, labels) + mean_g


def adaface(x, w, labels, scale, m, h, t_alpha, mean, std):
    """The norm, its mean and its deviation are constants to the gradient; the deviation has the divisor n - 1."""
    cos = cosines(x, w)
    kept = labels != IGNORE
    norms = jnp.clip(jax.lax.stop_gradient(jnp.linalg.norm(x, axis=1)), 0.001, 100.0)
    of_batch = norms[np.flatnonzero(kept)]
    mean = t_alpha * of_batch.mean() + (1.0 - t_alpha) * mean
    std = t_alpha * of_batch.std(ddof=1) + (1.0 - t_alpha) * std
    z = jnp.clip((norms - mean) / (std + 0.001) * h, -1.0, 1.0)
    theta = jnp.clip(jnp.arccos(own_cosines(cos, labels)) - m * z, 0.0, jnp.pi)
    return cross_entropy_of(cos, jnp.cos(theta) - (m + m * z), cos, scale, labels)


def straight_through(psi):
    """The value of psi with the derivative of the cosine."""
    return lambda theta: jnp.cos(theta) + jax.lax.stop_gradient(psi(theta) - jnp.cos(theta))


def filtered(x, w, labels, scale, psi, threshold):
    """Cosines of other classes above the threshold become 0."""
    cos = cosines(x, w)
    others = jnp.where(jax.lax.stop_gradient(cos) > threshold, 0.0, cos)
    return cross_entropy_of(cos, psi(jnp.arccos(own_cosines(cos, labels))), others, scale, labels)


def sub_center_arcface(x, w, labels, scale, m, centres, past_pi):
    cos = cosines(x, w).reshape(len(labels), -1, centres).max(axis=2)
    return cross_entropy_of(cos, arcface(m, past_pi)(jnp.arccos(own_cosines(cos, labels))), cos, scale, labels)


def soft_triple(x, w, labels, scale, delta, centres, gamma):
    cos = cosines(x, w).reshape(len(labels), -1, centres)
    mixture = (jax.nn.softmax(cos / gamma, axis=2) * cos).sum(axis=2)
    return cross_entropy_of(mixture, own_cosines(mixture, labels) - delta, mixture, scale, labels)


def sphereface_r(m, form, gradient):
    psi = sphereface(m) if form == "v0" else lambda theta: jnp.cos(jnp.minimum(m * theta, jnp.pi))
    return straight_through(psi) if gradient == "straight-through" else psi


def l_softmax(x, w, labels, m, blend):
    """Inner products without a bias; that of the labelled class becomes the product of the norms times the margin function of the angle."""
    norms = jnp.linalg.norm(x, axis=1, keepdims=True) * jnp.linalg.norm(w, axis=1)
    products = x @ w.T
    margin = norms * (blend * products / norms + sphereface(m)(jnp.arccos(products / norms))) / (1.0 + blend)
    is_target = labels[:, None] == jnp.arange(w.shape[0])
    return mean_cross_entropy(jnp.where(is_target, margin, products), labels)


def circle(x, w, labels, scale, m, gradient):
    hold = jax.lax.stop_gradient if gradient == "straight-through" else lambda weight: weight
    cos = cosines(x, w)
    own = own_cosines(cos, labels)
    target = hold(jnp.maximum(1.0 + m - own, 0.0)) * (own - (1.0 - m))
    others = hold(jnp.maximum(cos + m, 0.0)) * (cos - m)
    return cross_entropy_of(cos, target, others, scale, labels)


def masks(cos, labels):
    """Whether a class is the row's own, and whether the row has one."""
    kept = (labels != IGNORE)[:, None]
    own = labels[:, None] == jnp.arange(cos.shape[1])
    return own & kept, ~own & kept, kept.sum()


def proxy_nca(x, w, labels, scale):
    """-ln(exp(-d(x, own)) / sum over the other proxies of exp(-d)), squared distances of vectors of length sqrt(scale / 2)."""
    cos = cosines(x, w)
    own, others, labelled = masks(cos, labels)
    distances = scale / 2.0 * (2.0 - 2.0 * cos)
    denominators = jax.scipy.special.logsumexp(jnp.where(others, -distances, -jnp.inf), axis=1)
    rows = jnp.where(own, distances, 0.0).sum(axis=1) + jnp.where(labels != IGNORE, denominators, 0.0)
    return rows.sum() / labelled


def proxy_anchor(x, w, labels, scale, delta):
    cos = cosines(x, w)
    own, others, _ = masks(cos, labels)
    down = lambda exponents: jax.scipy.special.logsumexp(jnp.vstack([jnp.zeros(cos.shape[1]), exponents]), axis=0)
    positive = down(jnp.where(own, -scale * (cos - delta), -jnp.inf))
    negative = down(jnp.where(others, scale * (cos + delta), -jnp.inf))
    return positive.sum() / own.any(axis=0).sum() + negative.mean()


def yes_or_no(cos, target, others, labels, positive, negative):
    own, rest, labelled = masks(cos, labels)
    losses = positive * jnp.where(own, jax.nn.softplus(-target[:, None]), 0.0)
    return (losses + negative * jnp.where(rest, jax.nn.softplus(others), 0.0)).sum() / labelled


def sphereface2(x, w, labels, scale, threshold, form, m, share, power, gradient):
    g = lambda z: 2.0 * ((z + 1.0) / 2.0) ** power - 1.0
    cos = cosines(x, w)
    own = own_cosines(cos, labels)
    if form == "c":
        target, others = g(own) - m, g(cos) + m
    elif form == "m":
        target, others = g(jnp.cos(jnp.minimum(m * jnp.arccos(own), jnp.pi))), g(cos)
    else:
        target, others = g(jnp.cos(jnp.minimum(jnp.arccos(own) + m, jnp.pi))), g(cos)
    if gradient == "straight-through":
        target = own + jax.lax.stop_gradient(target - own)
        others = cos + jax.lax.stop_gradient(others - cos)
    weights = (share / scale, (1.0 - share) / scale)
    return yes_or_no(cos, scale * target - threshold, scale * others - threshold, labels, *weights)


def uniface(x, w, labels, scale, threshold, m, share):
    cos = cosines(x, w)
    target = scale * (own_cosines(cos, labels) - m) - threshold
    return yes_or_no(cos, target, scale * cos - threshold, labels, 1.0, share)


def p2sgrad(x, w, labels):
    cos = cosines(x, w)
    own, rest, labelled = masks(cos, labels)
    return (jnp.where(own, (1.0 - cos) ** 2, 0.0) + jnp.where(rest, cos**2, 0.0)).sum() / 2.0 / labelled


def by_class(psi, labels, margins):
    """psi with the margin of each row's class; (B, 1), as it is put on whole rows of angles."""
    own = np.asarray(margins)[np.where(labels == IGNORE, 0, labels)][:, None]
    return lambda theta: psi(theta, own)


def class_sizes(labels, classes):
    return np.bincount(labels[labels != IGNORE], minlength=classes)


def dynamic_margins(sizes, smallest, largest, exponent):
    power = np.where(sizes > 0, np.maximum(sizes, 1.0) ** -exponent, np.nan)
    share = (power - np.nanmin(power)) / (np.nanmax(power) - np.nanmin(power))
    return np.where(sizes > 0, smallest + (largest - smallest) * share, largest)


def ldam_margins(sizes, largest):
    quarter = np.where(sizes > 0, np.maximum(sizes, 1.0) ** -0.25, np.nan)
    return np.where(sizes > 0, largest * quarter / np.nanmax(quarter), largest)


def adacos_scale(x, w, labels, previous):
    """Equation by equation; NumPy, since no gradient flows through the scale."""
    kept = labels != IGNORE
    cos, y = np.asarray(cosines(x, w))[kept], labels[kept]
    rows = np.arange(len(y))
    others = np.exp(previous * cos)
    others[rows, y] = 0.0
    theta_med = np.median(np.arccos(cos[rows, y]))
    return np.log(others.sum(axis=1).mean()) / np.cos(min(np.pi / 4, theta_med))


def arrays(seed, batch, dimension, classes, ignored=0, far=0):
    """Random arrays; the last `far` rows point away from their class."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(classes, dimension))
    labels = rng.integers(classes, size=batch)
    x = rng.normal(size=(batch, dimension)) * rng.uniform(0.1, 10.0, size=(batch, 1))
    if far:
        x[-far:] = -2.0 * w[labels[-far:]] + 0.5 * rng.normal(size=(far, dimension))
    labels[:ignored] = IGNORE
    return x, w, labels.astype(np.int64), rng.normal(size=classes)


def cases():
    """(head, options, arrays, loss as a function of (x, w, b, alpha), scale)."""
    for number, scale in enumerate([1.0, 16.0, 64.0]):
        x, w, y, b = arrays(100 + number, 6, 5, 4, ignored=number)
        yield "norm-softmax", {"scale": scale}, (x, w, y, b), lambda x, w, b, a, y=y, s=scale: mean_cross_entropy(
            s * cosines(x, w), y
        ), scale

        def with_psi(psi, x, y, s=scale):
            return lambda x, w, b, a: mean_cross_entropy(with_target_logit(x, w, y, s, psi), y)

        for m in [1.0, 1.35, 2.0, 4.0]:
            x, w, y, b = arrays(200 + number + int(10 * m), 7, 5, 4, far=2)
            yield "sphereface", {"scale": scale, "margin": m}, (x, w, y, b), with_psi(sphereface(m), x, y), scale
        for m in [0.0, 0.35, 1.5]:
            x, w, y, b = arrays(300 + number + int(10 * m), 6, 5, 4)
            yield "cosface", {"scale": scale, "margin": m}, (x, w, y, b), with_psi(lambda t, m=m: jnp.cos(t) - m, x, y), scale
        for past_pi in ["monotone", "continuous", "easy", "plain"]:
            for m in [0.2, 0.5, 1.2]:
                x, w, y, b = arrays(400 + number + int(10 * m), 8, 6, 5, ignored=1, far=3)
                options = {"scale": scale, "margin": m, "past-pi": past_pi}
                yield "arcface", options, (x, w, y, b), with_psi(arcface(m, past_pi), x, y), scale
        for m1, m2, m3 in [(1.0, 0.3, 0.2), (0.9, 0.4, 0.15), (1.35, 0.0, 0.0)]:
            x, w, y, b = arrays(500 + number + int(10 * m1), 6, 5, 4, far=1)
            psi = lambda t, m1=m1, m2=m2, m3=m3: jnp.cos(m1 * t + m2) - m3
            yield "combined-margin", {"scale": scale, "m1": m1, "m2": m2, "m3": m3}, (x, w, y, b), with_psi(psi, x, y), scale

        for m, t in [(0.3, 0.0), (0.5, 0.4), (1.2, 0.9)]:
            x, w, y, b = arrays(700 + number + int(10 * m), 8, 4, 6, ignored=1, far=2)
            loss = lambda x, w, b, a, y=y, s=scale, m=m, t=t: curricularface(x, w, y, s, m, t)
            yield "curricularface", {"scale": scale, "margin": m, "state.t": t}, (x, w, y, b), loss, scale

        for form, m, t, reweighting in [("am", 0.35, 0.2, "adaptive"), ("am", 0.2, 0.5, "fixed"), ("arc", 0.5, 0.3, "adaptive")]:
            x, w, y, b = arrays(800 + number + int(10 * m), 8, 4, 6, ignored=1, far=2)
            options = {"scale": scale, "form": form, "margin": m, "t": t, "reweighting": reweighting}
            given = (form, m, t, reweighting)
            loss = lambda x, w, b, a, y=y, s=scale, given=given: mv_softmax(x, w, y, s, *given)
            yield "mv-softmax", options, (x, w, y, b), loss, scale

        # Norms below, within and above the range, and outside a range far above.
        for l_a, u_a, l_m, u_m, lambda_g, past_pi in [
            (2.0, 12.0, 0.3, 0.9, 2.0, "monotone"),
            (1.0, 30.0, 0.45, 0.8, 35.0, "easy"),
            (1.0, 40.0, 0.2, 1.5, 0.5, "continuous"),
            (0.1, 50.0, 0.1, 0.7, 0.0, "plain"),
            (10.0, 110.0, 0.45, 0.8, 35.0, "monotone"),
        ]:
            x, w, y, b = arrays(900 + number + int(u_a), 8, 4, 6, ignored=1, far=2)
            given = (l_a, u_a, l_m, u_m, lambda_g, past_pi)
            options = dict(zip(["l-a", "u-a", "l-m", "u-m", "lambda-g", "past-pi"], given))
            loss = lambda x, w, b, a, y=y, s=scale, given=given: magface(x, w, y, s, *given)
            yield "magface", {"scale": scale} | options, (x, w, y, b), loss, scale

        for m, h, t_alpha, mean, std in [(0.4, 0.333, 0.01, 20.0, 100.0), (0.4, 0.333, 1.0, 20.0, 100.0), (0.9, 2.0, 0.3, 5.0, 3.0)]:
            x, w, y, b = arrays(1000 + number + int(10 * h), 8, 4, 6, ignored=1, far=2)
            options = {"scale": scale, "margin": m, "h": h, "t-alpha": t_alpha, "state.norm_mean": mean, "state.norm_std": std}
            given = (m, h, t_alpha, mean, std)
            loss = lambda x, w, b, a, y=y, s=scale, given=given: adaface(x, w, y, s, *given)
            yield "adaface", options, (x, w, y, b), loss, scale

        for m, centres, past_pi in [(0.5, 3, "monotone"), (0.3, 2, "continuous"), (0.7, 1, "plain")]:
            x, _, y, b = arrays(1100 + number + centres, 8, 4, 5, ignored=1, far=2)
            w = np.random.default_rng(1150 + number + centres).normal(size=(5 * centres, 4))
            given = (m, centres, past_pi)
            loss = lambda x, w, b, a, y=y, s=scale, given=given: sub_center_arcface(x, w, y, s, *given)
            options = {"scale": scale, "margin": m, "centres": centres, "past-pi": past_pi}
            yield "sub-center-arcface", options, (x, w, y, b), loss, scale

        for m, centres, gamma in [(0.01, 10, 0.1), (0.3, 3, 0.02), (0.1, 2, 2.0)]:
            x, _, y, b = arrays(1160 + number + centres, 8, 4, 5, ignored=1, far=2)
            w = np.random.default_rng(1180 + number + centres).normal(size=(5 * centres, 4))
            loss = lambda x, w, b, a, y=y, s=scale, given=(m, centres, gamma): soft_triple(x, w, y, s, *given)
            yield "soft-triple", {"scale": scale, "margin": m, "centres": centres, "gamma": gamma}, (x, w, y, b), loss, scale

        for m, form, gradient in [(1.5, "v1", "straight-through"), (1.5, "v0", "straight-through"), (2.2, "v1", "true"), (1.7, "v0", "true")]:
            x, w, y, b = arrays(1200 + number + int(10 * m), 8, 5, 4, ignored=1, far=2)
            options = {"scale": scale, "margin": m, "form": form, "gradient": gradient}
            yield "sphereface-r", options, (x, w, y, b), with_psi(sphereface_r(m, form, gradient), x, y), scale

        # Margins that do not vary: those that do are drawn by another generator.
        for form, m in [("arc", 0.5), ("cos", 0.35)]:
            x, w, y, b = arrays(1300 + number + int(10 * m), 8, 5, 4, ignored=1, far=2)
            psi = arcface(m, "monotone") if form == "arc" else lambda t, m=m: jnp.cos(t) - m
            options = {"scale": scale, "form": form, "margin": m, "std": 0.0}
            yield "elasticface", options, (x, w, y, b), with_psi(psi, x, y), scale

        x, w, y, b = arrays(1400 + number, 8, 4, 9, ignored=1, far=2)
        options = {"scale": scale, "margin": 0.5, "gradient": "straight-through"}
        psi = straight_through(arcface(0.5, "monotone"))
        yield "arcface", options, (x, w, y, b), with_psi(psi, x, y), scale
        combined = lambda t: jnp.cos(0.9 * t + 0.4) - 0.15
        options = {"scale": scale, "m1": 0.9, "m2": 0.4, "m3": 0.15, "gradient": "straight-through"}
        yield "combined-margin", options, (x, w, y, b), with_psi(straight_through(combined), x, y), scale
        for head, options, psi in [
            ("arcface", {"margin": 0.3}, arcface(0.3, "monotone")),
            ("cosface", {"margin": 0.2}, lambda t: jnp.cos(t) - 0.2),
            ("combined-margin", {"m1": 0.9, "m2": 0.4, "m3": 0.15}, combined),
        ]:
            loss = lambda x, w, b, a, y=y, s=scale, psi=psi: filtered(x, w, y, s, psi, 0.4)
            yield head, {"scale": scale} | options | {"interclass-filter": 0.4}, (x, w, y, b), loss, scale

        for smallest, largest, exponent in [(0.05, 0.5, 0.25), (0.2, 1.3, 1.0)]:
            x, w, y, b = arrays(1500 + number + int(10 * largest), 14, 5, 5, ignored=1, far=2)
            margins = dynamic_margins(class_sizes(y, 5), smallest, largest, exponent)
            monotone = lambda t, m: jnp.where(t >= jnp.pi - m, jnp.cos(t) - m * jnp.sin(m), jnp.cos(t + m))
            options = {"scale": scale, "smallest-margin": smallest, "largest-margin": largest, "lambda": exponent}
            yield "dynamic-arcface", options, (x, w, y, b), with_psi(by_class(monotone, y, margins), x, y), scale

        x, w, y, b = arrays(1600 + number, 14, 5, 5, ignored=1, far=2)
        psi = by_class(lambda t, m: jnp.cos(t) - m, y, ldam_margins(class_sizes(y, 5), 0.6))
        yield "ldam", {"scale": scale, "largest-margin": 0.6}, (x, w, y, b), with_psi(psi, x, y), scale

        for m, gradient in [(0.25, "straight-through"), (0.4, "true"), (0.0, "true")]:
            x, w, y, b = arrays(1700 + number + int(10 * m), 8, 4, 6, ignored=1, far=2)
            loss = lambda x, w, b, a, y=y, s=scale, m=m, g=gradient: circle(x, w, y, s, m, g)
            yield "circle", {"scale": scale, "margin": m, "gradient": gradient}, (x, w, y, b), loss, scale

        x, w, y, b = arrays(1800 + number, 8, 4, 6, ignored=1, far=2)
        yield "proxy-nca", {"scale": scale}, (x, w, y, b), lambda x, w, b, a, y=y, s=scale: proxy_nca(x, w, y, s), scale

        for m in [0.1, 0.4]:
            x, w, y, b = arrays(1850 + number + int(10 * m), 8, 4, 6, ignored=1, far=2)
            loss = lambda x, w, b, a, y=y, s=scale, m=m: proxy_anchor(x, w, y, s, m)
            yield "proxy-anchor", {"scale": scale, "margin": m}, (x, w, y, b), loss, scale

        for form, m, share, power, gradient in [
            ("c", 0.4, 0.7, 3, "true"),
            ("c", 0.2, 0.5, 2, "straight-through"),
            ("a", 0.4, 0.7, 3, "true"),
            ("a", 1.5, 0.9, 1, "straight-through"),
            ("m", 1.7, 0.7, 3, "true"),
        ]:
            x, w, y, b = arrays(1900 + number + int(10 * m), 8, 4, 6, ignored=1, far=2)
            given = (form, m, share, power, gradient)
            options = dict(zip(["form", "margin", "lambda", "power", "gradient"], given))
            loss = lambda x, w, b, a, y=y, s=scale, given=given: sphereface2(x, w, y, s, b[0], *given)
            yield "sphereface2", {"scale": scale} | options, (x, w, y, b), loss, scale

        for m, share in [(0.4, 1.0), (0.1, 0.3)]:
            x, w, y, b = arrays(2000 + number + int(10 * m), 8, 4, 6, ignored=1, far=2)
            loss = lambda x, w, b, a, y=y, s=scale, m=m, share=share: uniface(x, w, y, s, b[0], m, share)
            yield "uniface", {"scale": scale, "margin": m, "lambda": share}, (x, w, y, b), loss, scale

        x, w, y, b = arrays(2100 + number, 8, 4, 6, ignored=1, far=2)
        yield "p2sgrad", {}, (x, w, y, b), lambda x, w, b, a, y=y: p2sgrad(x, w, y), 1.0

    for seed, batch, ignored in [(600, 5, 0), (601, 6, 0), (602, 7, 2)]:
        x, w, y, b = arrays(seed, batch, 5, 4, ignored=ignored)
        yield "softmax", {}, (x, w, y, b), lambda x, w, b, a, y=y: mean_cross_entropy(x @ w.T + b, y), 1.0
        for m, blend in [(1, 0.0), (2, 0.0), (3, 0.5), (4, 0.0), (4, 5.0)]:
            loss = lambda x, w, b, a, y=y, m=m, blend=blend: l_softmax(x, w, y, m, blend)
            yield "l-softmax", {"margin": m, "lambda": blend}, (x, w, y, b), loss, 1.0
        for alpha in [1.0, 16.0]:

            def l2_softmax(x, w, b, a, y=y):
                unit = x / jnp.linalg.norm(x, axis=1, keepdims=True)
                return mean_cross_entropy(a * unit @ w.T + b, y)

            yield "l2-softmax", {"alpha": alpha}, (x, w, y, b), l2_softmax, alpha

        x, w, y, b = arrays(seed + 10, batch, 8, 10, ignored=ignored)
        fixed = np.sqrt(2.0) * np.log(9.0)
        plain = lambda s, y: lambda x, w, b, a: mean_cross_entropy(s * cosines(x, w), y)
        yield "fixed-adacos", {}, (x, w, y, b), plain(fixed, y), fixed
        for previous in [None, 1.5, 20.0, 500.0]:
            scale = adacos_scale(x, w, y, fixed if previous is None else previous)
            yield "adacos", {} if previous is None else {"state.scale": previous}, (x, w, y, b), plain(scale, y), scale


def main():
    out = {}
    for number, (head, options, (x, w, y, b), loss, scale) in enumerate(cases()):
        alpha = np.float64(options.get("alpha", 1.0))
        value, gradients = jax.value_and_grad(loss, argnums=(0, 1, 2, 3))(x, w, b, alpha)
        spec = ":".join([head] + [f"{name}={option}" for name, option in options.items()])
        out[f"{number:03}/spec"] = np.frombuffer(spec.encode(), dtype=np.uint8)
        out |= {f"{number:03}/{name}": np.asarray(array) for name, array in zip(
            ["features", "weights", "labels", "bias", "loss", "scale", "d_features", "d_weights", "d_bias", "d_alpha"],
            [x, w, y, b, value, np.float64(scale), *gradients],
        )}
    path = Path(__file__).with_name("heads.npz")
    np.savez_compressed(path, **out)
    print(f"{number + 1} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
