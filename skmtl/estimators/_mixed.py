"""Regression and classification targets in one network."""

from __future__ import annotations

from typing import Any

from sklearn.utils import ClassifierTags, RegressorTags

from skmtl.estimators._base import BaseMultiTaskNet


class MultiTaskNetClassifierRegressor(BaseMultiTaskNet):
    """A neural network that learns several targets of one table at once.

    The targets may mix numbers, two classes, several classes and vectors, and any cell may
    lack its label.  The network minimises

        ``sum_t a_t * mean_labelled(w_it * loss_t) + Omega(theta)``

    over tasks t and their labelled rows i: squared error on standardised numbers,
    cross-entropy on classes, numbers relative to the loss of the best constant
    (`normalize_losses`), task weights ``a_t`` (`loss_weights`), row and class weights
    ``w_it`` (`sample_weight`, `class_weight`), and penalties Omega (`penalty`).

    Use it where one table has several related targets, and compare it with a network per
    target by ``sharing="independent"``.  For targets of one kind see
    :class:`MultiTaskNetRegressor` and :class:`MultiTaskNetClassifier`.

    Parameters
    ----------
    tasks : mapping, list of Task or str, default=None
        What the columns of y are, where the rule of :func:`skmtl.tasks.infer_kind` shall not
        decide: ``{"price": "regression", "sold": "binary", "box": ["x", "y", "w", "h"]}``, by
        name or position; a list makes one vector-valued task of several columns.
    preset : {"fast", "default", "best"}, default="default"
        Time against score.  ``"fast"``: one network where ``n_members="auto"``; a fourth of the
        default's time.  ``"best"``: several kinds of networks, weighed for each task by what
        they say of rows that they did not learn from: hard sharing and a net per task (where
        `sharing` is ``"hard"`` or ``"auto"``; pass ``Hard()`` for hard sharing alone), numbers
        with and without bins and with embeddings (where the trunk and `n_bins` allow it); some
        ten times the default's time.
    sharing : str or Sharing, default="hard"
        How tasks share: ``"hard"`` (one trunk), ``"independent"`` (a net per task, trained
        as one program), ``"mmoe"``, ``"cross_stitch"`` and the other names, or an object, of
        :mod:`skmtl.sharing`.  ``"auto"``: ``"hard"`` and ``"independent"``, weighed for each
        task by what they say of rows that they did not learn from; the nets per task leave a
        method that finds weights aside.
    loss_weights : mapping, sequence, str or Weighting, default=None
        The weights ``a_t``: by task name, in the order of the tasks, a method that finds them
        (``"uncertainty"``, ``"mgda"``, ...) or an object of :mod:`skmtl.weighting` or TorchJD.
        None: all 1.
    normalize_losses : bool or "numbers", default="numbers"
        Which losses are divided by that of the best constant prediction for the training labels,
        so that 1 has explained nothing and 0 all.  ``"numbers"``: those of regression, count and
        quantile tasks; the losses of classes are left in nats: divided by its small entropy,
        the loss of a rare class would drown out all others.  True: all.  False: none.
    trunk : str, Trunk, type or function, default="mlp"
        What maps features to the representation: ``"mlp"``, ``"resnet"``, ``"tabm"``,
        ``"cnn"``, which take those of the next three parameters that they have; an object of
        :mod:`skmtl.trunks`, which has its own in place of them; or what makes a
        ``torch.nn.Module`` of your own.
    hidden_layer_sizes : tuple of int, default=(128, 128)
        Width of each hidden layer of the trunk.  Empty: a linear model.
    activation : str or type, default="relu"
        Activation of hidden layers.
    dropout : float, default=0.0
        Probability of dropping an activation of the trunk in training, in [0, 1).
    n_bins : int or "auto", default="auto"
        Number of quantile bins of each number: beside the number itself the network reads how
        far it has come through each bin (piecewise-linear encoding), which lets it follow steps
        and thresholds as trees do.  0: the number alone.  ``"auto"``: 8; 0 with
        ``preprocess=None``, in a linear model, with a trunk that embeds numbers itself, takes
        arrays or is a module of your own, with the penalty ``"l21"``, for sparse X and where
        there would be more than 4,096 bins in all (a number of few values has few).
    head_layer_sizes : tuple of int, default=()
        Hidden layers of each task's head, of its own weights.
    penalty : str, Penalty or list of them, default=None
        The terms of Omega: ``"l1"``, ``"l2"``, ``"l21"``, ``"trace_norm"``,
        ``"task_relations"`` or objects of :mod:`skmtl.penalties`, which name a part of the
        network.
    n_members : int or "auto", default="auto"
        Number of networks that are trained side by side, as one stacked computation; a
        prediction is the mean of theirs.  ``"auto"``: 8 where there are at least 24
        labelled rows and each member leaves out a fold of them (see `bagging`); 1 for fewer rows,
        without early stopping, with X_val, and with the trunks ``"tabm"``, ``"cnn"`` and modules
        of your own.
    bagging : {"folds", "bootstrap"} or None, default="folds"
        With several members and early stopping, ``"folds"``: the training rows are parted into
        one fold per member, each member learns from all rows but its fold, and all are judged
        together by what each says of its own fold, so that no row is lost to validation.
        ``"bootstrap"``: each member learns from as many rows as there are, drawn with replacement,
        and with early stopping is judged by those that it did not draw.  None: all members learn
        from the same rows, in one order, and differ by their initial weights.
    optimizer : str or type, default="adamw"
        ``"adamw"``, ``"adam"``, ``"sgd"``, ``"rmsprop"``, ``"nadam"``, ``"radam"`` or a class
        of torch.optim.
    lr : float, default=3e-3
        Learning rate.  Schedules: skorch's ``LRScheduler`` in `callbacks`.
    weight_decay : float, default=0.0
        Decay of the weights (not of the biases): decoupled for AdamW, else as the
        optimiser has it.
    ema_decay : float or "auto", default="auto"
        Decay per step of the exponential moving average of the weights that is judged, kept and
        predicts, in [0, 1); 0: the weights themselves.  ``"auto"``: 0.99 with early stopping,
        else 0, so that `partial_fit` goes on exactly where it was.
    batch_size : int, "auto" or "halving", default="auto"
        The largest batch; -1: all rows.  Batches of an epoch differ by one row at most.
        ``"auto"``: 32 below 1,500 training rows, 64 below 4,000, 128 below 8,000, then 256.
        Where ``sharing="independent"`` reads the rows of each task alone (no task has labels in
        more than half of them), batches and passes are counted by the labels of the task that
        has most, and ``"auto"`` takes a tenth of them at most.
        ``"halving"``: the same, and where memory does not suffice half of it, with a warning.
    max_epochs : int, default=200
        The largest number of passes over the training rows.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when ``valid_score`` (mean over tasks of 1 - loss / loss of the best
        constant) no longer rises, and to keep the best weights.  ``"auto"``: with X_val, with
        at least 3 labelled rows per member (folds), or with at least 100 (one network), if the
        held-out labels suffice to judge a task.
    validation_fraction : float, default=0.1
        Share of the labelled rows that is held out for early stopping, with the class shares and label
        presence of every task kept.
    n_iter_no_change : int, default=10
        Epochs without a rise of more than `tol` before it stops.
    tol : float, default=1e-4
        What counts as a rise.
    class_weight : "balanced", mapping, or mapping from tasks to these, default=None
        Weights of classes.
    calibration : "temperature" or None, default=None
        ``"temperature"``: the probabilities of each class task become ``p ** (1 / T)``, scaled
        to a sum of 1, with the T that has the least cross-entropy on held-out rows.
    preprocess : "auto", None or transformer, default="auto"
        ``"auto"``: :class:`skmtl.features.FeatureEncoder`, fitted on the training rows.
        None: X is numeric and complete already.  Or a scikit-learn transformer.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA where there is one, else the CPU.
    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Precision of the network.  ``"bfloat16"``: weights, losses and optimiser in float32,
        and the matrix products of training in bfloat16, as torch's autocast does it.
    n_threads : int or None, default=1
        torch's threads on the CPU during fits and predictions; more than the idle cores
        makes small networks many times slower.  None: leave torch's setting alone.
    deterministic : bool, default=False
        Whether `fit` asks torch for deterministic algorithms
        (``torch.use_deterministic_algorithms``), which are slower on CUDA.  A CPU gives the same
        bits without.
    warm_start : bool, default=False
        Whether `fit` goes on with the fitted network: same tasks, classes, preprocessing and
        target scales.
    random_state : int, RandomState or None, default=None
        Seed for initial weights, shuffling, dropout and the validation rows.  Results are
        the same in threads, processes and serially; torch's global generator is not touched.
    verbose : int, default=0
        1: a line on stderr with the time left.
    callbacks : list, default=None
        Callbacks of skorch, and of scikit-learn 1.9 or newer.
    net_params : dict, default=None
        Further parameters of ``skorch.NeuralNet``, such as ``{"optimizer__eps": 1e-6}``.
    checkpoint : str, os.PathLike, Checkpoint or None, default=None
        File, or folder for many fits, from which a fit that was killed goes on as if it had not
        been; see :class:`skmtl.Checkpoint`.

    Attributes
    ----------
    tasks_ : tuple of Task
        The tasks with their kinds and classes, in the order of y's columns.
    classes_ : dict of str to ndarray
        Labels by class task, in their own type; only if there is one.  For a single 1-D
        target the array alone.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if X had names.
    sharing_ : Sharing
        The sharing scheme with what was chosen in `fit`, such as the groups of tasks.
    preprocess_ : transformer or None
        What `preprocess` stands for, fitted.
    net_ : TaskNet
        The skorch net: ``net_.module_`` is the torch module.  Of several candidates, that of the
        first, as are ``sharing_``, ``history_`` and what else is told of a single net.
    candidates_ : dict of str to estimator
        With ``preset="best"`` or ``sharing="auto"``: the fitted candidates.
    candidate_weights_ : pandas.DataFrame of shape (n_tasks, n_candidates)
        Their weights in the predictions of each task; only the first is fitted where nothing was
        held out.
    history_ : pandas.DataFrame
        Losses by epoch, per task.
    task_weights_ : pandas.DataFrame of shape (n_epochs, n_tasks)
        The weights ``a_t`` by epoch.
    null_losses_ : dict of str to float
        Loss of the best constant by task; not with ``normalize_losses=False``.
    engine_ : {"written", "autograd", "skorch"}
        What took the steps of the fit: the written-out forward and backward pass of the default
        network, torch's autograd, or skorch's own loop, which callbacks ask for that listen to
        batches.
    n_members_ : int
        Networks trained side by side.
    n_iter_ : int
        Epochs trained.
    best_epoch_ : int
        The epoch whose weights are kept.  With ``sharing="independent"`` each task has its
        own, and this is the last of them.

    References
    ----------
    R. Caruana: Multitask Learning, Machine Learning 28, 1997.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from skmtl import MultiTaskNetClassifierRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> Y = pd.DataFrame({"price": X[:, 0] * 2, "sold": np.where(X[:, 1] > 0, "yes", "no")})
    >>> Y.loc[:20, "price"] = None
    >>> est = MultiTaskNetClassifierRegressor(max_epochs=50, random_state=0).fit(X, Y)
    >>> est.tasks_
    (Task('price', 'regression'), Task('sold', 'binary', classes=['no', 'yes']))
    >>> est.predict(X).shape, est.predict_proba(X)["sold"].shape
    ((200, 2), (200, 2))
    >>> est.score(X, Y) > 0.8
    True
    """

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect: no estimator type, but the tags of both."""
        tags = super().__sklearn_tags__()
        # As a classifier, an integer `cv` would look at the type of y and refuse it.
        tags.estimator_type = None
        tags.classifier_tags = ClassifierTags()
        tags.regressor_tags = RegressorTags()
        return tags
