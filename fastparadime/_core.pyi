version: str
compiler: str
simd_level: str
cuda_version: str
cuda_architectures: str
kHeadsPerPartial: int  # noqa: N816
kMinListWidth: int  # noqa: N816
kMaxListWidth: int  # noqa: N816
kUnitColumns: int  # noqa: N816
kMaxUnitColumns: int  # noqa: N816
kMlpBlock: int  # noqa: N816
kMaxHiddenLayers: int  # noqa: N816
kNoNeighbor: int  # noqa: N816
kSharedLanes: int  # noqa: N816
kProductBlock: int  # noqa: N816
kWorkerRows: int  # noqa: N816
kLeafRows: int  # noqa: N816

class Target:
    def __init__(self, device: str, threads: int, stream: int = ...) -> None: ...

def smooth_knn(
    weights: int, rho: int, sigma: int, distances: int, global_mean: int, n: int, k: int,
    target_sum: float, local_connectivity: float, counted: int, target: Target, /,
) -> None: ...  # fmt: skip
def perplexity(
    weights: int, beta: int, distances: int, n: int, k: int, target_nats: float, target: Target, /
) -> None: ...
def shared_neighbors(
    counts: int, candidates: int, lists: int, n: int, k: int, stride: int, target: Target, /
) -> None: ...

class HeadRange:
    def __init__(self, first: int, last: int, transposed: int) -> None: ...

def symmetrize_scratch(n: int, nnz: int, target: Target, /) -> int: ...
def symmetrize_range_scratch(n: int, range: HeadRange, forward: int, /) -> int: ...
def symmetrize_plan(
    indptr: int, scratch: int, graph_indptr: int, graph_indices: int, graph_weights: int, n: int,
    nnz: int, longest: int, operation: int, mix_ratio: float, range: HeadRange, target: Target, /,
) -> None: ...  # fmt: skip
def symmetrize_fill(
    indptr: int, heads: int, tails: int, weights: int, scratch: int, graph_indptr: int, n: int,
    nnz: int, operation: int, mix_ratio: float, range: HeadRange, target: Target, /,
) -> None: ...  # fmt: skip
def components(roots: int, indptr: int, indices: int, n: int, /) -> None: ...
def graph_matmul(
    out: int, x: int, scale: int, gain: int, shift: int, previous: int, indptr: int, indices: int,
    weights: int, n: int, columns: int, target: Target, /,
) -> None: ...  # fmt: skip
def segment_gram(
    out: int, partials: int, x: int, y: int, starts: int, pieces: int, piece_count: int,
    segments: int, p: int, q: int, target: Target, /,
) -> None: ...  # fmt: skip
def segment_matmul(
    out: int, x: int, matrices: int, segment_of: int, n: int, p: int, q: int, target: Target, /
) -> None: ...

class CandidateLists:
    def __init__(
        self, bounds: int, indices: int, row_norms: int, rows: int, width: int
    ) -> None: ...

def cuda_versions() -> tuple[int, int]: ...
def nearest_in_tile(
    lists: CandidateLists, cosines: int, norms: int, slack: float, columns: int, first: int,
    target: Target, /,
) -> None: ...  # fmt: skip

class ProductEngine:
    fastest: ProductEngine
    mma: ProductEngine
    wgmma: ProductEngine

def most_unit_columns(engine: ProductEngine, target: Target, /) -> int: ...
def nearest_by_cosines(
    lists: CandidateLists, units: int, column_units: int, norms: int, slack: float, columns: int,
    dim: int, first_column: int, engine: ProductEngine, target: Target, /,
) -> None: ...  # fmt: skip
def nearest_by_differences(
    lists: CandidateLists, X: int, points: int, rows: int, n: int, dim: int, parts: int,
    target: Target, /,
) -> None: ...  # fmt: skip
def subgraph(
    out: int, points: int, places: int, indptr: int, indices: int, weights: int, m: int,
    target: Target, /,
) -> None: ...  # fmt: skip
def rerank(
    indices: int, distances: int, X: int, candidates: int, points: int, queries: int,
    first_row: int, rows: int, count: int, dim: int, k: int, metric: int, p: float, target: Target,
    /,
) -> None: ...  # fmt: skip

class ProductLists:
    def __init__(self, keys: int, sizes: int, bounds: int, width: int, capacity: int) -> None: ...

class ProductTable:
    def __init__(self, values: int, norms: int, n: int, dim: int) -> None: ...

class PlainRows:
    def __init__(self, values: int, mean: int, scale: float, dim: int) -> None: ...

def pack_rows(table: ProductTable, rows: PlainRows, target: Target, /) -> None: ...
def nearest_pairs(
    lists: ProductLists, table: ProductTable, first_round: int, last_round: int, target: Target, /
) -> None: ...
def nearest_to_queries(
    lists: ProductLists, queries: ProductTable, rows: PlainRows, first: int, last: int, parts: int,
    target: Target, /,
) -> None: ...  # fmt: skip
def read_lists(
    indices: int, squares: int, lists: ProductLists, parts: int, rows: int, target: Target, /
) -> None: ...
def nearest_in_groups(
    indices: int, squares: int, queries: PlainRows, rows: PlainRows, order: int, ends: int,
    met: int, met_ends: int, groups: int, width: int, target: Target, /,
) -> None: ...  # fmt: skip
def nearest_in_clusters(
    keys: int, X: int, centers: int, scale: float, dim: int, width: int, members: int,
    names: int, starts: int, known: int, tasks: int, count: int, target: Target, /,
) -> None: ...  # fmt: skip
def join_lists(
    keys: int, points: int, indices: int, distances: int, width: int, count: int, found: int,
    target: Target, /,
) -> None: ...  # fmt: skip

class KdTree:
    def __init__(self, values: int, order: int, boxes: int, n: int, dim: int) -> None: ...

def build_kd_tree(
    tree: KdTree, keys: int, X: int, level: int, first: int, last: int, target: Target, /
) -> bool: ...
def kd_nearest(
    indices: int, compared: int, tree: KdTree, leaves: int, queries: int, count: int, width: int,
    max_compared: int, metric: int, p: float, target: Target, /,
) -> None: ...  # fmt: skip

class SparseRows:
    def __init__(self, indptr: int, columns: int, values: int) -> None: ...

def sparse_nearest(
    indices: int, query_rows: SparseRows, by_column: SparseRows, alone: int, points: int,
    queries: int,
    n: int, dim: int, count: int, metric: int, target: Target, /,
) -> None: ...  # fmt: skip
def sparse_rerank(
    indices: int, distances: int, rows: SparseRows, query_rows: SparseRows, candidates: int,
    points: int,
    itself: int, queries: int, dim: int, count: int, k: int, metric: int, p: float,
    target: Target, /,
) -> None: ...  # fmt: skip

class BinaryRows:
    def __init__(self, words: int, indptr: int, columns: int, sizes: int, width: int) -> None: ...

def nearest_binary(
    indices: int, distances: int, rows: BinaryRows, queries: BinaryRows, first: int, count: int,
    itself: int, n: int, dim: int, k: int, metric: int, target: Target, /,
) -> None: ...  # fmt: skip

class Points:
    def __init__(self, rows: int, n: int, stride: int, dim: int) -> None: ...

class NeighborLists:
    def __init__(self, indices: int, distances: int, rounds: int, width: int) -> None: ...

def project_rows(
    out: int, X: int, scale: float, mean: int, basis: int, n: int, dim: int, stride: int,
    target: Target, /,
) -> None: ...  # fmt: skip
def build_forest(
    orders: int, points: Points, trees: int, first_tree: int, leaf: int, seed: int, target: Target,
    /,
) -> None: ...  # fmt: skip
def join_leaves(
    lists: NeighborLists, points: Points, order: int, leaf: int, target: Target, /
) -> None: ...
def reverse_lists(
    reverse: int, lists: NeighborLists, n: int, max_candidates: int, round: int, target: Target, /
) -> None: ...
def nn_descent(
    lists: NeighborLists, points: Points, reverse: int, max_candidates: int, first: int, last: int,
    round: int, target: Target, /,
) -> int: ...  # fmt: skip
def edge_table_scratch(size: int, target: Target, /) -> int: ...
def edge_table(
    cumulative: int, guide: int, scratch: int, weights: int, size: int, guide_bits: int,
    scale: float, target: Target, /,
) -> None: ...  # fmt: skip
def edge_draw(
    heads: int, tails: int, cumulative: int, guide: int, size: int, guide_bits: int,
    edge_heads: int, edge_tails: int, batch: int, negatives: int, n: int, seed: int, step: int,
    counter: int, target: Target, /,
) -> None: ...  # fmt: skip
def unique_nodes(nodes: int, positions: int, ids: int, size: int, /) -> int: ...
def edge_loss(
    loss: int, head_grad: int, tail_grad: int, partials: int, heads: int, tails: int, batch: int,
    slots: int, dim: int, a: float, b: float, epsilon: float, repulsion_strength: float,
    target: Target, /,
) -> None: ...  # fmt: skip
def anchor_loss(
    loss: int, gradient: int, row_losses: int, scores: int, positions: int, anchors: int,
    reaches: int, rows: int, count: int, dim: int, target: Target, /,
) -> None: ...  # fmt: skip
def anchor_modes(
    modes: int, moves: int, scores: int, anchors: int, windows: int, rows: int, count: int,
    dim: int, target: Target, /,
) -> None: ...  # fmt: skip
def gather_rows(
    out: int, table: int, indices: int, m_rows: int, row_bytes: int, target: Target, /
) -> None: ...
def sgd_layout_scratch(n: int, edges: int, steps_per_epoch: int, target: Target, /) -> int: ...

class SgdLayoutArgs:
    def __init__(
        self, positions: int, next: int, scratch: int, anchors: int, indptr: int, tails: int,
        weights: int, streams: int, n: int, edges: int, dim: int, tail_count: int, negatives: int,
        steps_per_epoch: int, first_epoch: int, last_epoch: int, n_epochs: int,
        learning_rate: float, largest_weight: float, seed: int, a: float, b: float,
        repulsion_strength: float, pulls: int, sampled_weights: int, density_gain: float,
        sorted: bool, row_weights: int, first_row: int, window: int,
        window_heads_log2: int, narrow_shares: int, /,
    ) -> None: ...  # fmt: skip

def sgd_layout(args: SgdLayoutArgs, target: Target, /) -> None: ...
def sgd_layout_part(args: SgdLayoutArgs, part: int, target: Target, /) -> None: ...

class OutputMetric:
    minkowski: OutputMetric
    chebyshev: OutputMetric
    mahalanobis: OutputMetric
    cosine: OutputMetric
    correlation: OutputMetric
    canberra: OutputMetric
    braycurtis: OutputMetric
    sphere: OutputMetric
    hyperboloid: OutputMetric
    spherical_gaussian: OutputMetric
    diagonal_gaussian: OutputMetric
    gaussian: OutputMetric
    function: OutputMetric

def metric_layout(
    layout: SgdLayoutArgs, metric: OutputMetric, p: float, parameters: int, function: int,
    target: Target, /,
) -> None: ...  # fmt: skip

class DensityGraph:
    def __init__(
        self, positions: int, indptr: int, tails: int, n: int, dim: int, a: float, b: float
    ) -> None: ...

def density_radii(squares: int, strengths: int, graph: DensityGraph, target: Target, /) -> None: ...
def scatter_add(out: int, rows: int, indices: int, n: int, m_rows: int, dim: int, /) -> None: ...

class MlpLayer:
    def __init__(
        self, weight: int, bias: int, transposed: int, values: int, slopes: int, weight_grad: int,
        bias_grad: int, in_dim: int, out_dim: int,
    ) -> None: ...  # fmt: skip

class Mlp:
    def __init__(
        self, layers: list[MlpLayer], activation: int, *, softmax: bool, input_mean: int,
        input_scale: float, output_mean: int, output_scale: float,
    ) -> None: ...  # fmt: skip

def mlp_forward(mlp: Mlp, table: int, ids: int, rows: int, threads: int, /) -> None: ...
def mlp_backward(
    mlp: Mlp, table: int, ids: int, rows: int, out_grad: int, threads: int, /
) -> None: ...
def mlp_jacobian(mlp: Mlp, jacobian: int, rows: int, threads: int, /) -> None: ...
def adam(
    parameter: int, mean: int, square: int, gradient: int, size: int, beta1: float, beta2: float,
    epsilon: float, step_size: float, square_scale: float, threads: int, /,
) -> None: ...  # fmt: skip

class HiddenLayers:
    def __init__(self, layers: list[tuple[int, int, int, int]], activation: int) -> None: ...
    def partials_size(self, rows: int, /) -> int: ...

def hidden_layers_fit(widest: int, target: Target, /) -> bool: ...
def hidden_forward(
    network: HiddenLayers, out: int, sums: int, input: int, rows: int, target: Target, /
) -> None: ...
def hidden_backward(
    network: HiddenLayers, input_grad: int, gradients: int, partials: int, out_grad: int,
    input: int,
    sums: int, rows: int, target: Target, /,
) -> None: ...  # fmt: skip

class EdgeStep:
    def __init__(
        self, layers: list[tuple[int, int, int, int]], activation: int, batch: int, negatives: int,
        shared_bytes: int,
    ) -> None: ...  # fmt: skip
    @property
    def tile_rows(self) -> int: ...
    @property
    def resident(self) -> bool: ...
    @property
    def size(self) -> int: ...
    @property
    def scratch_bytes(self) -> int: ...
    def use_edges(
        self, cumulative: int, guide: int, size: int, guide_bits: int, edge_heads: int,
        edge_tails: int, n: int, seed: int, /,
    ) -> None: ...  # fmt: skip
    def use_loss(
        self, a: float, b: float, epsilon: float, repulsion_strength: float, /
    ) -> None: ...
    def use_arrays(
        self, table: int, means: int, squares: int, gradients: int, losses: int, steps: int,
        rates: int, counters: int, scratch: int, /,
    ) -> None: ...  # fmt: skip
    def use_adam(self, rate: float, beta1: float, beta2: float, epsilon: float, /) -> None: ...

def product_places(lane: int, /) -> list[tuple[int, int]]: ...
def block_shared_bytes(target: Target, /) -> int: ...
def embed_rows_fit(layers: list[tuple[int, int, int, int]], shared_bytes: int, /) -> bool: ...
def embed_rows(
    layers: list[tuple[int, int, int, int]], activation: int, out: int, table: int, rows: int,
    target: Target, /,
) -> None: ...  # fmt: skip
def edge_step(step: EdgeStep, target: Target, /) -> None: ...
