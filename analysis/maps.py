"""What does a vocabulary look like, and is what one sees there? UMAP and Mapper, each beside its nulls.

    python -m analysis.maps [MODEL] [--hierarchy H] [--concept C] [--n-permutations N | --quick] [--out DIR]

1. All tokens that text can produce are mapped by UMAP to two dimensions, under the causal inner product and under the
   Euclidean one.
2. How far a map can be trusted: trustworthiness and the share of neighbours that it preserves, beside the map with its
   points permuted; and kNN purity, whether a word's neighbours are of its concept, beside shuffled concepts.
3. The unit vectors of all concepts are mapped in the same way, and those of shuffled rows.
4. The words of one concept, one spelling each, go through Mapper. The lens is the projection on the vectors of its
   kinds; cover and clusterer are those whose graph is the most stable under resampling. Node purity, components and
   loops stand beside shuffled rows and shuffled labels.

Writes four figures, three pages to explore, mapper.graphml, results.json and results.npz to figures/<model>/maps/.
"""

import geometry as geo


def main(study: geo.experiments.MapsStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # Words that bridge two kinds, and what they have in common more often than either kind.
    for bridge in result.mapper.bridges if result.mapper else ():
        if bridge.between and bridge.enriched:
            print(f"{' | '.join(bridge.concepts)}: {', '.join(bridge.words[:8])}; more often {bridge.enriched[0][0]}")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.MapsStudy, main, __doc__))
