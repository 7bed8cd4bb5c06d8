"""A map of sentences by their embeddings, with the words that set each group apart.

    python docs/gallery/sentences.py sentences.npz [--small] [--plot MAP.png]

The file holds "embeddings" (n, d), which a language model gave, and "texts" (n,).
"""

import command_line
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, plot

# %% The data
options = command_line.arguments(__doc__, data="sentences.npz")
with np.load(options.data) as stored:
    embeddings, texts = stored["embeddings"].astype(np.float32), stored["texts"]
if options.small:
    embeddings, texts = embeddings[:3000], texts[:3000]

# %% The map
umap = UMAP(metric="cosine", min_dist=0.05, min_shared_neighbors=1, random_state=0)
Y = umap.fit_transform(embeddings)
sample = np.random.default_rng(0).choice(len(Y), 2000, replace=False)
trust = trustworthiness(embeddings[sample], Y[sample], n_neighbors=15, metric="cosine")
print(f"{len(Y):,} sentences, trustworthiness {trust:.3f} among 2,000 of them")

# %% Groups of sentences, each named by the two words that are most frequent in it alone
GROUPS = 12
groups = MiniBatchKMeans(GROUPS, random_state=0, n_init=3).fit_predict(embeddings)
documents = [" ".join(texts[groups == group]) for group in range(GROUPS)]
vectorizer = TfidfVectorizer(stop_words="english", max_df=0.5, max_features=5000)
weights = vectorizer.fit_transform(documents).toarray()
terms = vectorizer.get_feature_names_out()
names = [" ".join(terms[np.argsort(row)[:-3:-1]]) for row in weights]
print("groups:", ", ".join(names))

# %% The picture
if options.plot is not None:
    figure = command_line.new_figure(9, 6)
    ax = plot.points(Y, np.array(names)[groups], ax=figure.subplots())
    command_line.legend_beside(ax)
    command_line.save(figure, options.plot)
