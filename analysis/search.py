"""What do vectors bring that were searched only for the change they make to later activations?

    python -m analysis.search [MODEL] [--norm N] [--n-vectors N] [--n-steps N] [--quick] [--out DIR]

1. Of 64 random vectors, a quarter of the residual norm large, those that change the residual stream three quarters up
   the model most are where a search begins; eight together climb that change on four prompts, less the change on four
   neutral texts, and stay orthogonal.
2. Beside them, of the same norm: random vectors, filtered and not; the opposite sign; a search on prompts whose tokens
   are shuffled; a search for a change of direction alone; singular vectors of the Jacobian.
3. On sixteen held-out prompts and neutral texts: the change, and the KL of the next token.
4. Norms from an eighth to twice: what survives of the change, of its dimensions, and of what becomes of concepts.
5. At 0.5 nats of KL the log-odds of all concepts' words beside random vectors: how far they move, whether they do so
   after every prompt, and whether the concepts that rise lie close in the tree.
6. Searches from other random vectors: do they find the same?

Writes figures, a page of generations, results.json and results.npz to figures/<model>/search/.
"""

import geometry as geo


def main(study: geo.experiments.SearchStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # CPU seconds of the searches, and of each way to look at what they found.
    for name, seconds in result.taken.items():
        print(f"{name}: {seconds:.0f} s")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.SearchStudy, main, __doc__))
