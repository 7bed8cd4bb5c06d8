"""Every operation once on a device, at sizes with whole and broken blocks.

For compute-sanitizer, which makes each kernel many times slower.
"""

import argparse

import torch

from fastparadime import ops

SIZES = ((2, 1), (4, 2), (300, 15), (1025, 20))


def graph_operations(n, k, device):
    indices = (torch.arange(n)[:, None] + torch.arange(1, k + 1)).to(device) % n
    distances = torch.rand(n, k, device=device)
    strengths = [ops.smooth_knn(distances, rule).weights for rule in ("paradime", "umap")]
    if k > 2:
        ops.perplexity(distances, k / 2)
    ops.shared_neighbors(indices)
    edges = ops.symmetrize(indices, strengths[0])
    ops.graph_matmul(edges, torch.rand(n, device=device), torch.rand(n, 3, device=device))
    ops.subgraph(edges, torch.arange(0, n, 2, device=device))
    for dim in (2, 7):  # in registers, and beyond
        ops.sgd_layout(torch.rand(n, dim, device=device), edges, 1.577, 0.895, 3)
    term = ops.DensityTerm(edges, torch.rand(n, device=device), 1.577, 0.895)
    term.radii(torch.rand(n, 2, device=device))
    ops.sgd_layout(
        torch.rand(n, 2, device=device), edges, 1.577, 0.895, 3, density=term, density_epochs=2
    )
    segments = ops.Segments([n // 2, n - n // 2], device)
    x = torch.rand(n, 3, dtype=torch.float64, device=device)
    segments.matmul(x, segments.gram(x, x))
    return indices, edges


def tile_operations(n, device):
    for count in (1, 100, ops.MOST_CANDIDATES):
        lists = ops.Candidates(torch.rand(n, device=device), count)
        for columns in (128, n):  # whole vectors, and what may be none
            lists.update(
                torch.rand(n, columns, device=device),
                torch.rand(columns, device=device),
                0,
                slack=0.0,
            )
        unit_operations(lists, n, "mma" if device.type == "cuda" else None)


def unit_operations(lists, n, engine):
    device = lists.norms.device
    for width in (8, 40, 128, 200, 264):
        if width > ops.most_unit_columns(device, engine):
            continue
        units, norms = torch.rand(n, width, device=device).half(), torch.rand(n, device=device)
        lists.update_from_units(units, units, norms, n, slack=0.0, engine=engine)


def network_operations(n, edges, activation, device):
    for columns in (19, 20):  # copied one by one, and by fours
        widths = [(columns, 33), (33, 16), (16, 2)]
        parts = [torch.rand(high, low, device=device) for low, high in widths]
        biases = [torch.rand(high, device=device) for _, high in widths]
        table = torch.rand(n, columns, device=device)
        ops.embed_rows(table, parts, biases, activation)
        if len(edges.weights):
            sampler = ops.EdgeSampler(edges.heads, edges.tails, edges.weights, n)
            step = ops.EdgeStep(
                sampler, table, parts, biases, activation, 400, 3, 1.577, 0.895,
                steps=2, learning_rate=0.01,
            )  # fmt: skip
            step()
            step()


def training_operations(n, edges, device):
    if len(edges.weights):
        step = torch.full((1,), 5, dtype=torch.int64, device=device)
        sampler = ops.EdgeSampler(edges.heads, edges.tails, edges.weights, n)
        for number in (5, step):
            sampler.draw(67, 5, number)
    heads = torch.rand(67, 2, device=device, requires_grad=True)
    tails = torch.rand(67, 6, 2, device=device, requires_grad=True)
    ops.negative_edge_cross_entropy(heads, tails, 1.577, 0.895).backward()
    anchors, reaches = torch.rand(n, 2, device=device), torch.full((n,), 0.1, device=device)
    scores = torch.rand(7, n, device=device, requires_grad=True)
    ops.anchor_cross_entropy(scores, anchors[:1].expand(7, 2), anchors, reaches).backward()
    ops.anchor_modes(scores, anchors, reaches)
    widths = [(20, 33), (33, 16), (16, 2)]
    parts = [torch.rand(high, low, device=device, requires_grad=True) for low, high in widths]
    biases = [torch.rand(high, device=device, requires_grad=True) for _, high in widths]
    with torch.no_grad():
        for activation in ops.POINTWISE_ACTIVATIONS:
            network_operations(n, edges, activation, device)
    for activation in ops.POINTWISE_ACTIVATIONS:
        sums = torch.rand(n, 20, device=device, requires_grad=True)
        ops.hidden_layers(sums, parts, biases, activation).sum().backward()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = ops.resolve_device(parser.parse_args().device)
    for n, k in SIZES:
        indices, edges = graph_operations(n, k, device)
        tile_operations(n, device)
        training_operations(n, edges, device)
        for width in (1, 7, 64):  # bytes, words and blocks of 16 bytes
            table = torch.rand(n, width, device=device)
            ops.gather_rows(table, indices[:, 0])
            ops.gather_rows(table.to(torch.uint8), indices[:, 0])
            ops.rerank(table, indices, k)
            for count, parts in ((1, 1), (40, 3)):
                ops.nearest_by_differences(table, indices[:, 0], count, parts=parts)
    # Last: warpgroups wait for barriers, which a sanitizer may slow down most.
    if device.type == "cuda" and ops.most_unit_columns(device, "wgmma"):
        for n in (4, 300, 1025):
            unit_operations(ops.Candidates(torch.rand(n, device=device), 28), n, "wgmma")
    if device.type == "cuda":
        torch.cuda.synchronize()
    print("every operation ran")


if __name__ == "__main__":
    main()
