"""The heads, a class each. Made by generate_heads.py from the library's list: changes belong there.

θ is the angle between a feature and a class vector in radians, s the scale, m the margin; "target" is what stands for `s cosθ` of the labelled
class in training. At inference there is no margin.
"""

from typing import Literal

from ._arcos import Head

__all__ = [
    "Head",
    "AdaCos",
    "AdaFace",
    "ArcFace",
    "Circle",
    "CombinedMargin",
    "CosFace",
    "CurricularFace",
    "DynamicArcFace",
    "ElasticFace",
    "FixedAdaCos",
    "L2Softmax",
    "LSoftmax",
    "Ldam",
    "MagFace",
    "MvSoftmax",
    "NormSoftmax",
    "P2SGrad",
    "ProxyAnchor",
    "ProxyNca",
    "SoftTriple",
    "Softmax",
    "SphereFace",
    "SphereFace2",
    "SphereFaceR",
    "SubCenterArcFace",
    "UniFace",
]


class Softmax(Head):
    """softmax: `x·w + b`."""

    def __new__(cls) -> "Softmax":
        return super().__new__(cls, "softmax")


class L2Softmax(Head):
    """l2-softmax: `α x̂·w + b`.

    alpha: norm α given to features (a positive number of at most 1e9).
    learn_alpha: whether α is trained by its gradient.
    """

    def __new__(
        cls,
        *,
        alpha: float = 16.0,
        learn_alpha: bool = False,
    ) -> "L2Softmax":
        return super().__new__(cls, "l2-softmax", alpha=alpha, learn_alpha=learn_alpha)


class NormSoftmax(Head):
    """norm-softmax: `s cosθ`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 16.0,
    ) -> "NormSoftmax":
        return super().__new__(cls, "norm-softmax", scale=scale)


class FixedAdaCos(Head):
    """fixed-adacos: `√2 ln(C-1) cosθ`."""

    def __new__(cls) -> "FixedAdaCos":
        return super().__new__(cls, "fixed-adacos")


class AdaCos(Head):
    """adacos: `s cosθ, s = ln(B_avg) / cos(min(π/4, θ_med))`.

    max_scale: largest scale that s may reach, in training 64 unless given (a positive number of at most 1e9).
    """

    def __new__(
        cls,
        *,
        max_scale: float | None = None,
    ) -> "AdaCos":
        return super().__new__(cls, "adacos", max_scale=max_scale)


class LSoftmax(Head):
    """l-softmax: `target ‖w‖‖x‖ ((-1)^k cos(mθ) - 2k), others x·w`.

    margin: factor m of the angle, whole (a whole number from 1 to 100).
    lambda_: how much cosθ counts beside the margin function (a number from 0 to 1e9).
    """

    def __new__(
        cls,
        *,
        margin: int = 4,
        lambda_: float = 5.0,
    ) -> "LSoftmax":
        return super().__new__(cls, "l-softmax", margin=margin, lambda_=lambda_)


class SphereFace(Head):
    """sphereface: `target s ((-1)^k cos(mθ) - 2k)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: factor m of the angle (a factor from 1 to 1e9).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 1.35,
    ) -> "SphereFace":
        return super().__new__(cls, "sphereface", scale=scale, margin=margin)


class CosFace(Head):
    """cosface: `target s (cosθ - m)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: cosine m subtracted (a cosine difference in [0, 2]).
    interclass_filter: cosine above which another class counts as 0 and has no gradient, or none (a cosine above 0 and at most 1).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 0.35,
        interclass_filter: float | None = None,
    ) -> "CosFace":
        return super().__new__(cls, "cosface", scale=scale, margin=margin, interclass_filter=interclass_filter)


class ArcFace(Head):
    """arcface: `target s cos(θ + m)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: angle m added, in radians (an angle in [0, π] radians).
    past_pi: what stands for cos(θ + m) past θ = π - m: monotone, continuous, easy or plain.
    gradient: derivative of the margin: true, or straight-through, which takes it as 1.
    interclass_filter: cosine above which another class counts as 0 and has no gradient, or none (a cosine above 0 and at most 1).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 0.5,
        past_pi: Literal["monotone", "continuous", "easy", "plain"] = "monotone",
        gradient: Literal["true", "straight-through"] = "true",
        interclass_filter: float | None = None,
    ) -> "ArcFace":
        return super().__new__(cls, "arcface", scale=scale, margin=margin, past_pi=past_pi, gradient=gradient, interclass_filter=interclass_filter)


class CombinedMargin(Head):
    """combined-margin: `target s (cos(m1 θ + m2) - m3)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    m1: factor m1 of the angle (a positive number of at most 1e9).
    m2: angle m2 added, in radians (an angle in [0, π] radians).
    m3: cosine m3 subtracted (a cosine difference in [0, 2]).
    gradient: derivative of the margin: true, or straight-through, which takes it as 1.
    interclass_filter: cosine above which another class counts as 0 and has no gradient, or none (a cosine above 0 and at most 1).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        m1: float = 1.0,
        m2: float = 0.3,
        m3: float = 0.2,
        gradient: Literal["true", "straight-through"] = "true",
        interclass_filter: float | None = None,
    ) -> "CombinedMargin":
        return super().__new__(cls, "combined-margin", scale=scale, m1=m1, m2=m2, m3=m3, gradient=gradient, interclass_filter=interclass_filter)


class CurricularFace(Head):
    """curricularface: `target s cos(θ + m), hard others s cosθ (t + cosθ)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: angle m added, in radians (an angle in [0, π] radians).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 0.5,
    ) -> "CurricularFace":
        return super().__new__(cls, "curricularface", scale=scale, margin=margin)


class MvSoftmax(Head):
    """mv-softmax: `target s (cosθ - m) or s cos(θ + m), mis-classified others s ((t + 1) cosθ + t)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    form: the margin: am, on the cosine, or arc, on the angle.
    margin: cosine m subtracted, or angle m added, in radians (a cosine difference or an angle, in [0, 2]).
    t: how much more mis-classified classes weigh (a number from 0 to 1e9).
    reweighting: a mis-classified class's cosine c becomes (t + 1) c + t, adaptive, or c + t, fixed.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 32.0,
        form: Literal["am", "arc"] = "am",
        margin: float = 0.35,
        t: float = 0.2,
        reweighting: Literal["adaptive", "fixed"] = "adaptive",
    ) -> "MvSoftmax":
        return super().__new__(cls, "mv-softmax", scale=scale, form=form, margin=margin, t=t, reweighting=reweighting)


class MagFace(Head):
    """magface: `target s cos(θ + m(‖x‖)), and λ (‖x‖/u² + 1/‖x‖) for each row`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    l_a: norm l_a of the smallest margin (a norm from 1e-6 to 1e9).
    u_a: norm u_a of the largest margin (a norm from 1e-6 to 1e9).
    l_m: smallest margin l_m, in radians (an angle in [0, π] radians).
    u_m: largest margin u_m, in radians (an angle in [0, π] radians).
    lambda_g: weight λ_g of the regulariser of norms (a number from 0 to 1e9).
    past_pi: what stands for cos(θ + m) past θ = π - m: monotone, continuous, easy or plain.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        l_a: float = 10.0,
        u_a: float = 110.0,
        l_m: float = 0.45,
        u_m: float = 0.8,
        lambda_g: float = 35.0,
        past_pi: Literal["monotone", "continuous", "easy", "plain"] = "monotone",
    ) -> "MagFace":
        return super().__new__(cls, "magface", scale=scale, l_a=l_a, u_a=u_a, l_m=l_m, u_m=u_m, lambda_g=lambda_g, past_pi=past_pi)


class AdaFace(Head):
    """adaface: `target s (cos(θ - m ẑ) - m ẑ - m), ẑ the norm among those of late`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: margin m, an angle in radians and a cosine (an angle in [0, π] radians).
    h: concentration h of the norms: 1/h deviations count as the most (a number from 0 to 1e9).
    t_alpha: weight of the batch in the running mean and deviation of norms (a number from 0 to 1).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 0.4,
        h: float = 0.333,
        t_alpha: float = 0.01,
    ) -> "AdaFace":
        return super().__new__(cls, "adaface", scale=scale, margin=margin, h=h, t_alpha=t_alpha)


class SubCenterArcFace(Head):
    """sub-center-arcface: `target s cos(θ + m), θ the angle to the nearest of K centres`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: angle m added, in radians (an angle in [0, π] radians).
    centres: class vectors a class, K (a whole number from 1 to 1,000,000).
    past_pi: what stands for cos(θ + m) past θ = π - m: monotone, continuous, easy or plain.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 0.5,
        centres: int = 3,
        past_pi: Literal["monotone", "continuous", "easy", "plain"] = "monotone",
    ) -> "SubCenterArcFace":
        return super().__new__(cls, "sub-center-arcface", scale=scale, margin=margin, centres=centres, past_pi=past_pi)


class SphereFaceR(Head):
    """sphereface-r: `target s cos(min(m θ, π))`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: factor m of the angle (a factor from 1 to 1e9).
    form: what stands for cos(mθ) past π/m: -1, v1, or sphereface's, v0.
    gradient: derivative of the margin: true, or straight-through, which takes it as 1.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 30.0,
        margin: float = 1.5,
        form: Literal["v0", "v1"] = "v1",
        gradient: Literal["true", "straight-through"] = "straight-through",
    ) -> "SphereFaceR":
        return super().__new__(cls, "sphereface-r", scale=scale, margin=margin, form=form, gradient=gradient)


class ElasticFace(Head):
    """elasticface: `target s cos(θ + m) or s (cosθ - m), m drawn for each row`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    form: the margin: arc, on the angle, or cos, on the cosine.
    margin: mean m of the angles added, in radians, or of the cosines subtracted (an angle or a cosine difference, in [0, 2]).
    std: standard deviation σ of margins (a number from 0 to 1).
    plus: whether the larger margins go to the rows further from their class: ElasticFace+.
    margin_seed: what margins are drawn from.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        form: Literal["arc", "cos"] = "arc",
        margin: float = 0.5,
        std: float = 0.05,
        plus: bool = False,
        margin_seed: int = 0,
    ) -> "ElasticFace":
        return super().__new__(cls, "elasticface", scale=scale, form=form, margin=margin, std=std, plus=plus, margin_seed=margin_seed)


class DynamicArcFace(Head):
    """dynamic-arcface: `target s cos(θ + m), m larger for smaller classes`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    smallest_margin: margin of the largest class, in radians (an angle in [0, π] radians).
    largest_margin: margin of the smallest class, in radians (an angle in [0, π] radians).
    lambda_: exponent λ: margins go with n^-λ, n the rows of the class (an exponent from 0.001 to 10).
    past_pi: what stands for cos(θ + m) past θ = π - m: monotone, continuous, easy or plain.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 80.0,
        smallest_margin: float = 0.05,
        largest_margin: float = 0.5,
        lambda_: float = 0.25,
        past_pi: Literal["monotone", "continuous", "easy", "plain"] = "monotone",
    ) -> "DynamicArcFace":
        return super().__new__(cls, "dynamic-arcface", scale=scale, smallest_margin=smallest_margin, largest_margin=largest_margin, lambda_=lambda_, past_pi=past_pi)


class Ldam(Head):
    """ldam: `target s (cosθ - m), m larger for smaller classes`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    largest_margin: cosine subtracted for the smallest class (a cosine difference in [0, 2]).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 30.0,
        largest_margin: float = 0.5,
    ) -> "Ldam":
        return super().__new__(cls, "ldam", scale=scale, largest_margin=largest_margin)


class Circle(Head):
    """circle: `target s (1 + m - cosθ) (cosθ - 1 + m), others s max(cosθ + m, 0) (cosθ - m)`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: relaxation m, a cosine (a number from 0 to 1).
    gradient: of the weights 1 + m - cosθ and cosθ + m: true, or straight-through, which takes them as constants.
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 256.0,
        margin: float = 0.25,
        gradient: Literal["true", "straight-through"] = "straight-through",
    ) -> "Circle":
        return super().__new__(cls, "circle", scale=scale, margin=margin, gradient=gradient)


class ProxyNca(Head):
    """proxy-nca: `s cosθ, the labelled class not in the denominator`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 2.0,
    ) -> "ProxyNca":
        return super().__new__(cls, "proxy-nca", scale=scale)


class ProxyAnchor(Head):
    """proxy-anchor: `target s (cosθ - δ), others s (cosθ + δ), compared over the rows of the batch`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: cosine δ subtracted from the target and added to the others (a cosine difference in [0, 2]).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 32.0,
        margin: float = 0.1,
    ) -> "ProxyAnchor":
        return super().__new__(cls, "proxy-anchor", scale=scale, margin=margin)


class SoftTriple(Head):
    """soft-triple: `target s (S - δ), others s S, S the K centres' cosines weighed by their softmax over γ`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: cosine δ subtracted (a cosine difference in [0, 2]).
    centres: class vectors a class, K (a whole number from 1 to 1,000,000).
    gamma: temperature γ of the choice among a class's centres (a number from 0.01 to 1e9).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 20.0,
        margin: float = 0.01,
        centres: int = 10,
        gamma: float = 0.1,
    ) -> "SoftTriple":
        return super().__new__(cls, "soft-triple", scale=scale, margin=margin, centres=centres, gamma=gamma)


class SphereFace2(Head):
    """sphereface2: `target s (g(cosθ) - m) - t, others s (g(cosθ) + m) - t, each a yes or no`.

    scale: scale s of the logits (a positive number of at most 1e9).
    margin: m: a cosine in form c, an angle in radians in form a, a factor in form m (a cosine difference in [0, 2]).
    form: margin on the cosines of all classes, c, or on the labelled angle, added, a, or multiplied, m.
    lambda_: share of the labelled class in the loss (a number from 0 to 1).
    power: power in g(z) = 2 ((z + 1)/2)^power - 1 (1, 2 or 3).
    gradient: derivative of the margin: true, or straight-through, which takes it as 1.
    """

    def __new__(
        cls,
        *,
        scale: float = 40.0,
        margin: float = 0.4,
        form: Literal["c", "a", "m"] = "c",
        lambda_: float = 0.7,
        power: int = 3,
        gradient: Literal["true", "straight-through"] = "true",
    ) -> "SphereFace2":
        return super().__new__(cls, "sphereface2", scale=scale, margin=margin, form=form, lambda_=lambda_, power=power, gradient=gradient)


class UniFace(Head):
    """uniface: `target s (cosθ - m) - t, others s cosθ - t, each a yes or no`.

    scale: scale s of the logits: a number, fixed-adacos, adacos or learned (a positive number of at most 1e9).
    margin: cosine m subtracted (a cosine difference in [0, 2]).
    lambda_: what the other classes' losses are multiplied by (a number from 0 to 1e9).
    """

    def __new__(
        cls,
        *,
        scale: float | Literal["fixed-adacos", "adacos", "learned"] = 64.0,
        margin: float = 0.4,
        lambda_: float = 1.0,
    ) -> "UniFace":
        return super().__new__(cls, "uniface", scale=scale, margin=margin, lambda_=lambda_)


class P2SGrad(Head):
    """p2sgrad: `cosθ, its squared distance from 1 for the target and 0 for the others`."""

    def __new__(cls) -> "P2SGrad":
        return super().__new__(cls, "p2sgrad")
