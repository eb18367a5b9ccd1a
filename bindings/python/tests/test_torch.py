"""arcos.torch against the same on NumPy arrays, and under what PyTorch does with modules."""

import copy
import io
import pickle

import arcos
import numpy as np
import pytest

torch = pytest.importorskip("torch")
import arcos.torch  # noqa: E402

HEADS = [name for name in arcos.heads.__all__ if name != "Head"]
ROWS, CLASSES, DIMENSION = 12, 7, 5


def batch(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(ROWS, DIMENSION, dtype=dtype, generator=generator, requires_grad=True)
    return features, torch.randint(CLASSES, (ROWS,), generator=generator)


def module(name, **options):
    torch.manual_seed(1)
    return getattr(arcos.torch, name)(DIMENSION, CLASSES, **{"dtype": torch.float64, **options})


def parameters_of(head):
    vectors = {name: getattr(head, name).detach().numpy().copy() for name in head._engine.vectors}
    return arcos.Parameters(head.weight.detach().numpy().copy(), vectors, dict(zip(head._engine.states, head.state.tolist())))


@pytest.mark.parametrize("name", HEADS)
def test_loss_and_gradients_are_those_of_the_arrays(name):
    head, (features, labels) = module(name), batch()
    sizes = np.bincount(labels, minlength=CLASSES)
    head.head.count_classes(sizes.tolist())
    expected = arcos.Streaming().forward_backward(head.head, features.detach().numpy(), parameters_of(head), labels.numpy())
    loss = head(features, labels)
    (3 * loss).backward()
    assert loss.item() == expected.loss
    np.testing.assert_allclose(features.grad, 3 * expected.d_features, rtol=1e-15)
    np.testing.assert_allclose(head.weight.grad, 3 * expected.d_weights, rtol=1e-15)
    for vector, gradient in expected.d_vectors.items():
        np.testing.assert_allclose(getattr(head, vector).grad, 3 * gradient, rtol=1e-15)
    assert dict(zip(head._engine.states, head.state.tolist())) == expected.state


def test_losses_can_wait_for_their_gradients():
    head = module("AdaCos")
    (features, labels), (others, other_labels) = batch(), batch(seed=5)
    both = head(features, labels), head(others, other_labels)
    for loss, rows in zip(both, (features, others)):
        (once,) = torch.autograd.grad(loss, rows, retain_graph=True)
        (twice,) = torch.autograd.grad(2 * loss, rows)
        assert torch.equal(2 * once, twice)
    head.state.fill_(8.0)
    expected = arcos.Streaming().forward_backward(head.head, features.detach().numpy(), parameters_of(head), labels.numpy())
    loss = head(features, labels)
    head(others, other_labels)
    (found,) = torch.autograd.grad(loss, features)
    np.testing.assert_array_equal(found, expected.d_features)
    loss = head(features, labels)
    with torch.no_grad():
        head.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    "name, objective",
    [("Softmax", {}), ("ArcFace", {"label_smoothing": 0.1}), ("SubCenterArcFace", {"z_loss": 0.01}), ("UniFace", {})],
)
def test_gradcheck(name, objective):
    head, (features, labels) = module(name, **objective), batch()
    head.eval()
    names = [name for name, _ in head.named_parameters()]

    def loss(features, *values):
        return torch.func.functional_call(head, dict(zip(names, values)), (features, labels))

    assert torch.autograd.gradcheck(loss, (features, *head.parameters()), eps=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_opcheck():
    head, (features, labels) = module("L2Softmax", learn_alpha=True), batch()
    arguments = (head._engine.number, features, labels, head.weight, head._vectors(), head.state, None)
    # Its ticket is another one at each call: that it can be compiled, another test says.
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.arcos.loss.default, arguments, test_utils=checks)
    detached = [argument.detach() if isinstance(argument, torch.Tensor) else argument for argument in arguments]
    detached[4] = [vector.detach() for vector in arguments[4]]
    scaled = (*detached, torch.tensor(-1), torch.tensor(2.0, dtype=torch.float64))
    torch.library.opcheck(torch.ops.arcos.gradients.default, scaled)
    fused = module("L2Softmax", learn_alpha=True, optimizer=arcos.optim.SGD(0.1))
    arguments = (fused._engine.number, features.detach(), labels, fused.weight, fused._vectors(), fused.state, None)
    torch.library.opcheck(torch.ops.arcos.train_step.default, arguments)
    torch.library.opcheck(torch.ops.arcos.logits.default, (*arguments[:2], *arguments[3:6]))


@pytest.mark.parametrize("name", ["ArcFace", "AdaCos", "L2Softmax"])
def test_a_fused_step_is_that_of_the_arrays(name):
    head, (features, labels) = module(name, optimizer=arcos.optim.SGD(0.5, momentum=0.9)), batch()
    assert not any(parameter.requires_grad for parameter in head.parameters())
    parameters, optimizer, kernel = parameters_of(head), arcos.optim.SGD(0.5, momentum=0.9), arcos.Streaming()
    for _ in range(3):
        features.grad = None
        loss = head(features, labels)
        loss.backward()
        step = kernel.train_step(head.head, features.detach().numpy(), parameters, labels.numpy(), optimizer, d_features=True)
        assert loss.item() == step.loss
        np.testing.assert_array_equal(features.grad, step.d_features)
        np.testing.assert_array_equal(head.weight.detach(), parameters.weights)
    before = head.weight.clone()
    with torch.no_grad():
        head(features, labels)
    head.eval()(features, labels)
    assert torch.equal(before, head.weight)


def test_class_vectors_are_stepped_where_they_are():
    head, (features, labels) = module("ArcFace", optimizer=arcos.optim.SGD(0.5)), batch()
    place, before = head.weight.data_ptr(), head.weight.clone()
    head(features, labels)
    assert head.weight.data_ptr() == place and not torch.equal(before, head.weight)


@pytest.mark.parametrize("options", [{}, {"optimizer": arcos.optim.SGD(0.1)}], ids=["parameters", "fused"])
def test_compile_changes_nothing(options):
    features, labels = batch()
    losses = []
    for compiled in (False, True):
        torch.manual_seed(2)
        network = torch.nn.Linear(DIMENSION, DIMENSION, dtype=torch.float64)
        head = module("AdaCos", **copy.deepcopy(options))

        def step(features, labels):
            return head(network(features).tanh(), labels)

        run = torch.compile(step, backend="aot_eager") if compiled else step
        for _ in range(3):
            loss = run(features, labels)
            loss.backward()
        losses.append((loss.item(), network.weight.grad.clone(), head.weight.detach().clone(), head.state.clone()))
    for eager, compiled in zip(*losses):
        assert np.allclose(eager, compiled, rtol=1e-12)


def test_a_network_learns():
    torch.manual_seed(0)
    centres = torch.randn(CLASSES, 16)
    labels = torch.arange(140) % CLASSES
    rows = centres[labels] + 0.3 * torch.randn(140, 16)
    network = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, DIMENSION))
    head = arcos.torch.CosFace(DIMENSION, CLASSES, scale=16, margin=0.1)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        head(network(rows), labels).backward()
        optimizer.step()
    head.eval()
    assert (head.logits(network(rows)).argmax(1) == labels).float().mean() > 0.95


def test_autocast_leaves_the_loss_in_single_precision():
    head, (features, labels) = module("ArcFace", dtype=torch.float32), batch(dtype=torch.float32)
    network = torch.nn.Linear(DIMENSION, DIMENSION)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network(features)
        loss = head(features, labels)
    assert features.dtype == torch.bfloat16 and loss.dtype == torch.float32
    loss.backward()
    assert torch.isfinite(network.weight.grad).all()


def test_state_copies_and_pickles():
    head, (features, labels) = module("AdaCos"), batch()
    head(features, labels)
    twin, pickled = copy.deepcopy(head), pickle.loads(pickle.dumps(head))
    stored = io.BytesIO()
    torch.save(head.state_dict(), stored)
    stored.seek(0)
    loaded = module("AdaCos")
    loaded.load_state_dict(torch.load(stored, weights_only=True))
    expected = head(features, labels).item()
    state = head.state.clone()
    for other in (twin, pickled, loaded):
        assert other._engine is not head._engine
        assert other(features, labels).item() == expected and torch.equal(other.state, state)
    weights = head.weight.clone()
    with torch.no_grad():
        twin.weight.zero_()
    assert torch.equal(head.weight, weights)


def test_weights_of_rows_and_the_objective():
    head, (features, labels) = module("CosFace", label_smoothing=0.1, reduction="sum"), batch()
    weights = torch.linspace(0, 1, ROWS, dtype=torch.float64)
    expected = arcos.Streaming().forward_backward(
        head.head, features.detach().numpy(), parameters_of(head), labels.numpy(), label_smoothing=0.1, reduction="sum", sample_weights=weights.numpy()
    )
    assert head(features, labels, weights).item() == expected.loss


def test_what_is_wrong_is_said():
    head, (features, labels) = module("ArcFace"), batch()
    with pytest.raises(ValueError, match="label"):
        head(features, labels + 1)
    with pytest.raises(TypeError, match="expected the CPU"):
        head(features.to("meta"), labels)
    with pytest.raises(RuntimeError, match="DataParallel"):
        head._replicate_for_data_parallel()
    with pytest.raises(TypeError, match="dtype is torch.float16; expected"):
        module("ArcFace", dtype=torch.float16)
    with pytest.raises(TypeError, match="arcface has no margni"):
        module("ArcFace", margni=0.2)
    with pytest.raises(AttributeError, match="NoFace"):
        arcos.torch.NoFace
