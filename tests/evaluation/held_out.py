"""Writes scenarios that fail for a known cause, each beside one in which this cause alone is removed.

    python3 tests/evaluation/held_out.py FOLDER
    python3 tests/evaluation/explain.py FOLDER --runs RUNS

Those of PAIRS were written before the rules of `trainscope explain` were looked at, and differ from the scenarios that the
rules were made with in data, architecture, optimizer, size and seed; those of LATER_PAIRS came with the keys that they use. The first line of a file is the cause, as
`explain.py` reads it. Needs Python 3.10 and nothing else.
"""
import pathlib
import sys

MLP = '[{dense=96},"relu",{dense=48},"relu",{dense=10}]'
CNN = '[{conv2d={channels=8,kernel=3,stride=2,padding=1}},"relu",{conv2d={channels=16,kernel=3,stride=2,padding=1}},"relu",{dense=10}]'
ENCODER = '[{dense=96},"relu"]'
DECODER = '[{dense=96},"relu",{dense=784}]'
CONV_ENCODER = '[{conv2d={channels=8,kernel=4,stride=2,padding=1}},"relu",{conv2d={channels=16,kernel=4,stride=2,padding=1}},"relu"]'
CONV_DECODER = (
    '[{dense=784},"relu",{reshape=[16,7,7]},{conv_transpose2d={channels=8,kernel=4,stride=2,padding=1}},"relu",'
    "{conv_transpose2d={channels=1,kernel=4,stride=2,padding=1}}]"
)
GENERATOR = '[{dense=96},"batch_norm","relu",{dense=784},"sigmoid"]'
CONV_GENERATOR = (
    '[{dense=784},"batch_norm","relu",{reshape=[16,7,7]},{conv_transpose2d={channels=8,kernel=4,stride=2,padding=1}},'
    '"batch_norm","relu",{conv_transpose2d={channels=1,kernel=4,stride=2,padding=1}},"sigmoid"]'
)
DISCRIMINATOR = '[{dense=96},{leaky_relu=0.2},{dense=1}]'
CONV_DISCRIMINATOR = (
    '[{conv2d={channels=8,kernel=4,stride=2,padding=1}},{leaky_relu=0.2},'
    "{conv2d={channels=16,kernel=4,stride=2,padding=1}},{leaky_relu=0.2},{dense=1}]"
)
MNIST = 'source="mnist"'


def shapes(size=16, count=3000):
    return f'source="shapes"\nsize={size}\ncount={count}'


def scenario(model, data, train, batch, steps, optimizer, more=""):
    return (
        f"[data]\n{data}\n[model]\n{model}\n[train]\nbatch={batch}\nsteps={steps}\noptimizer={optimizer}\n{train}\n"
        f"[record]\nevery=5\ncheckpoint_every=100\n{more}\n"
    )


def classifier(layers=MLP, data=MNIST, train="", batch=48, steps=250, optimizer="{adam=1e-3}", more=""):
    return scenario(f'kind="classifier"\nlayers={layers}', data, train, batch, steps, optimizer, more)


def vae(encoder=ENCODER, decoder=DECODER, model="", data=MNIST, train="", batch=48, steps=250, optimizer="{adam=1e-3}", latent=12):
    model = f'kind="vae"\nlatent={latent}\nencoder={encoder}\ndecoder={decoder}\n{model}'
    return scenario(model, data, train, batch, steps, optimizer)


def gan(
    generator=GENERATOR, discriminator=DISCRIMINATOR, model="", data=MNIST, batch=32, steps=300,
    optimizer="{adam={lr=5e-4,beta1=0.5}}", opponent="{adam={lr=2e-4,beta1=0.5}}", latent=24,
):
    model = f'kind="gan"\nlatent={latent}\ngenerator={generator}\ndiscriminator={discriminator}\n{model}'
    return scenario(model, data, f"discriminator_optimizer={opponent}", batch, steps, optimizer)


def deep(activation, layers, norm=""):
    hidden = "".join(f'{{dense=40}},{norm}"{activation}",' for _ in range(layers))
    return f"[{hidden}{{dense=10}}]"


SHAPES_MLP = '[{dense=64},"tanh",{dense=32},"tanh",{dense=3}]'
SHAPES_CNN = CNN.replace("dense=10", "dense=3").replace("channels=8", "channels=12")
NORMALIZED_CNN = CNN.replace('"relu",{conv', '"batch_norm","relu",{conv').replace('"relu",{dense', '"batch_norm","relu",{dense')

# Name: cause, the scenario that fails, the same without the cause.
PAIRS = {
    "rate-tanh": ("learning_rate_too_high", classifier(SHAPES_MLP, shapes(), optimizer="{adam=0.3}"), classifier(SHAPES_MLP, shapes(), optimizer="{adam=2e-3}")),
    "rate-rmsprop": ("learning_rate_too_high", classifier(CNN, optimizer="{rmsprop=0.1}"), classifier(CNN, optimizer="{rmsprop=1e-3}")),
    "rate-elu": (
        "learning_rate_too_high",
        classifier(CNN.replace('"relu"', '"elu"'), optimizer="{sgd=5.0}"),
        classifier(CNN.replace('"relu"', '"elu"'), optimizer="{sgd=0.1}"),
    ),
    "rate-conv-vae": (
        "learning_rate_too_high",
        vae(CONV_ENCODER, CONV_DECODER, 'variance="softplus"', optimizer="{adam=0.1}"),
        vae(CONV_ENCODER, CONV_DECODER, 'variance="softplus"', optimizer="{adam=2e-3}"),
    ),
    "slow-cnn": ("learning_rate_too_low", classifier(CNN, optimizer="{sgd=1e-6}"), classifier(CNN, optimizer="{sgd={lr=0.05,momentum=0.9}}")),
    "slow-vae": ("learning_rate_too_low", vae(optimizer="{adam=2e-7}"), vae(optimizer="{adam=1e-3}")),
    "decays-at-once": (
        "schedule_wrong",
        classifier(CNN, optimizer="{adamw=1e-3}", train="schedule={step={every=4,factor=0.2}}"),
        classifier(CNN, optimizer="{adamw=1e-3}", train="schedule={step={every=200,factor=0.2}}"),
    ),
    "warms-up-for-ever": (
        "schedule_wrong",
        classifier(MLP.replace("relu", "gelu"), train="schedule={constant={warmup=200000}}"),
        classifier(MLP.replace("relu", "gelu"), train="schedule={constant={warmup=20}}"),
    ),
    "momentum-shapes": (
        "momentum_too_high",
        classifier(SHAPES_CNN, shapes(20), optimizer="{sgd={lr=0.1,momentum=0.997}}"),
        classifier(SHAPES_CNN, shapes(20), optimizer="{sgd={lr=0.1,momentum=0.8}}"),
    ),
    "decay-silu": (
        "weight_decay_too_strong",
        classifier(MLP.replace("relu", "silu"), optimizer="{adamw={lr=2e-3,weight_decay=60.0}}"),
        classifier(MLP.replace("relu", "silu"), optimizer="{adamw={lr=2e-3,weight_decay=0.01}}"),
    ),
    "decay-sgd": (
        "weight_decay_too_strong",
        classifier(CNN, optimizer="{sgd={lr=0.1,weight_decay=0.4}}"),
        classifier(CNN, optimizer="{sgd={lr=0.1,weight_decay=1e-4}}"),
    ),
    "clip-tight": (
        "gradient_clip_too_tight",
        classifier(CNN, optimizer="{sgd=0.1}", train="clip={norm=1e-5}"),
        classifier(CNN, optimizer="{sgd=0.1}", train="clip={norm=5.0}"),
    ),
    "critic-clip-small": (
        "weight_clip_too_small",
        gan(model='objective="wasserstein"\nweight_clip=0.0004\ncritic_steps=3', optimizer="{rmsprop=5e-4}", opponent="{rmsprop=5e-4}"),
        gan(model='objective="wasserstein"\nweight_clip=0.03\ncritic_steps=3', optimizer="{rmsprop=5e-4}", opponent="{rmsprop=5e-4}"),
    ),
    "critic-free": (
        "weight_clip_missing",
        gan(CONV_GENERATOR, CONV_DISCRIMINATOR, 'objective="wasserstein"', opponent="{adam=1e-2}", steps=250),
        gan(CONV_GENERATOR, CONV_DISCRIMINATOR, 'objective="wasserstein"\nweight_clip=0.05', opponent="{adam=1e-3}", steps=250),
    ),
    "bytes-elu": (
        "unscaled_inputs",
        classifier("[{affine={scale=255.0,shift=0.0}}," + CNN[1:].replace("relu", "elu"), optimizer="{sgd=0.1}"),
        classifier(CNN.replace("relu", "elu"), optimizer="{sgd=0.1}"),
    ),
    "bytes-vae": (
        "unscaled_inputs",
        vae("[{affine={scale=255.0,shift=0.0}}," + ENCODER[1:], optimizer="{adam=1e-3}"),
        vae(optimizer="{adam=1e-3}"),
    ),
    "faint": (
        "faint_inputs",
        classifier("[{affine={scale=0.003,shift=0.0}}," + MLP[1:], optimizer="{sgd=0.1}"),
        classifier(MLP, optimizer="{sgd=0.1}"),
    ),
    "outliers-mlp": (
        "corrupt_samples",
        classifier(MLP, MNIST + "\ncorrupt={count=12,scale=300.0}", steps=400),
        classifier(MLP, steps=400),
    ),
    "outliers-vae": (
        "corrupt_samples",
        vae(CONV_ENCODER, CONV_DECODER, 'reconstruction="squared_error"\nvariance="bounded"', MNIST + "\ncorrupt={count=8,scale=200.0}", train="clip={norm=20.0}", steps=400),
        vae(CONV_ENCODER, CONV_DECODER, 'reconstruction="squared_error"\nvariance="bounded"', train="clip={norm=20.0}", steps=400),
    ),
    "labels-all-random": ("label_noise", classifier(CNN, MNIST + "\nlabel_noise=1.0"), classifier(CNN)),
    "labels-half-random": ("label_noise", classifier(MLP, MNIST + "\nlabel_noise=0.5", steps=300), classifier(MLP, steps=300)),
    "labels-most-random-shapes": (
        "label_noise",
        classifier(SHAPES_CNN, shapes(20) + "\nlabel_noise=0.8", steps=400, optimizer="{adam=3e-3}"),
        classifier(SHAPES_CNN, shapes(20), steps=400, optimizer="{adam=3e-3}"),
    ),
    "thirty-digits": ("too_little_data", classifier(CNN, MNIST + "\nlimit=30"), classifier(CNN)),
    "thrown-about": (
        "augmentation_too_strong",
        classifier(MLP, MNIST + "\naugment={shift=14}"),
        classifier(MLP, MNIST + "\naugment={shift=1}"),
    ),
    "by-heart": (
        "overfitting or too_little_data",
        classifier('[{dense=256},"relu",{dense=256},"relu",{dense=10}]', MNIST + "\nlimit=200", steps=400, more="[validate]\nsplit=0.3\nevery=20"),
        classifier('[{dense=256},"relu",{dense=256},"relu",{dense=10}]', MNIST, steps=400, more="[validate]\nsplit=0.3\nevery=20"),
    ),
    "zeros-cnn": (
        "zero_initialization",
        classifier(CNN.replace("padding=1}", 'padding=1,init="zeros"}').replace("{dense=10}", '{dense={units=10,init="zeros"}}')),
        classifier(CNN),
    ),
    "zeros-gan": (
        "zero_initialization",
        gan(GENERATOR.replace("{dense=96}", '{dense={units=96,init="zeros"}}').replace("{dense=784}", '{dense={units=784,init="zeros"}}')),
        gan(GENERATOR),
    ),
    "twelve-plain": (
        "missing_normalization or vanishing_gradients",
        classifier(deep("relu", 12), optimizer="{sgd=0.05}"),
        classifier(deep("relu", 12, '"batch_norm",'), optimizer="{sgd=0.05}"),
    ),
    "linear-shapes": (
        "missing_nonlinearity",
        classifier("[{dense=64},{dense=32},{dense=3}]", shapes(), optimizer="{adam=2e-3}", steps=400),
        classifier('[{dense=64},"relu",{dense=32},"relu",{dense=3}]', shapes(), optimizer="{adam=2e-3}", steps=400),
    ),
    "one-unit": (
        "bottleneck",
        classifier(CNN.replace("{dense=10}", '{dense=1},"tanh",{dense=10}')),
        classifier(CNN.replace("{dense=10}", '{dense=32},"tanh",{dense=10}')),
    ),
    "six-sigmoids": (
        "saturating_activations or vanishing_gradients",
        classifier(deep("sigmoid", 6), optimizer="{sgd=0.1}"),
        classifier(deep("relu", 3), optimizer="{sgd=0.1}"),
    ),
    "dropout": (
        "dropout_too_high",
        classifier('[{dense=96},"relu",{dropout=0.95},{dense=48},"relu",{dropout=0.95},{dense=10}]'),
        classifier('[{dense=96},"relu",{dropout=0.2},{dense=48},"relu",{dropout=0.2},{dense=10}]'),
    ),
    "batch-of-one": ("batch_too_small or learning_rate_too_high", classifier(MLP, batch=1, optimizer="{sgd=0.3}"), classifier(MLP, batch=48, optimizer="{sgd=0.3}")),
    "batch-of-two-normalized": ("batch_too_small", classifier(NORMALIZED_CNN, batch=2, optimizer="{sgd=0.3}"), classifier(NORMALIZED_CNN, batch=48, optimizer="{sgd=0.3}")),
    "relu-before-softmax": ("output_activation", classifier(CNN[:-1] + ',"relu"]', optimizer="{adam=3e-3}"), classifier(CNN, optimizer="{adam=3e-3}")),
    "tanh-before-softmax": ("output_activation", classifier(MLP[:-1] + ',"tanh"]'), classifier(MLP)),
    "tanh-images": ("output_activation", gan(GENERATOR.replace("sigmoid", "tanh")), gan(GENERATOR)),
    "sigmoid-decoder": ("output_activation", vae(CONV_ENCODER, CONV_DECODER[:-1] + ',"sigmoid"]'), vae(CONV_ENCODER, CONV_DECODER)),
    "sigmoid-score": ("output_activation", gan(CONV_GENERATOR, CONV_DISCRIMINATOR[:-1] + ',"sigmoid"]'), gan(CONV_GENERATOR, CONV_DISCRIMINATOR)),
    "log-variance-momentum": (
        "log_variance_overflow or learning_rate_too_high",
        vae(optimizer="{sgd={lr=0.01,momentum=0.9}}"),
        vae(optimizer="{sgd={lr=1e-4,momentum=0.9}}"),
    ),
    "beta-hundred": (
        "kl_weight_too_high or posterior_collapse",
        vae(CONV_ENCODER, CONV_DECODER, "beta=100.0"),
        vae(CONV_ENCODER, CONV_DECODER, "beta=1.0"),
    ),
    "strong-discriminator": (
        "discriminator_too_strong",
        gan(CONV_GENERATOR, CONV_DISCRIMINATOR, 'objective="minimax"', optimizer="{adam={lr=5e-5,beta1=0.5}}", opponent="{adam={lr=5e-3,beta1=0.5}}"),
        gan(CONV_GENERATOR, CONV_DISCRIMINATOR, 'objective="cross_entropy"', optimizer="{adam={lr=1e-3,beta1=0.5}}", opponent="{adam={lr=2e-4,beta1=0.5}}"),
    ),
    "still-discriminator": (
        "discriminator_too_weak or mode_collapse or noise_ignored",
        gan(CONV_GENERATOR, CONV_DISCRIMINATOR, opponent="{sgd=1e-6}"),
        gan(CONV_GENERATOR, CONV_DISCRIMINATOR),
    ),
    "one-digit": (
        "mode_collapse or discriminator_too_weak or noise_ignored",
        gan(optimizer="{adam={lr=2e-2,beta1=0.5}}", opponent="{adam={lr=1e-5,beta1=0.5}}", steps=400),
        gan(optimizer="{adam={lr=5e-4,beta1=0.5}}", opponent="{adam={lr=2e-4,beta1=0.5}}", steps=400),
    ),
}

TWO_DIGITS = MNIST + "\nclass_shares=[1.0,{},0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]"


def started(init):
    """The MLP whose dense layers start so."""
    dense = [f"{{dense={{units={units},init={init}}}}}" for units in (96, 48, 10)]
    return "[" + ',"relu",'.join(dense) + "]"


LATER_PAIRS = {
    "bytes-by-scale": ("unscaled_inputs", classifier(CNN, MNIST + "\nscale=255.0", optimizer="{sgd=0.1}"), classifier(CNN, optimizer="{sgd=0.1}")),
    "far-from-zero": ("unscaled_inputs", classifier(MLP, MNIST + "\nshift=100.0", optimizer="{adam=3e-3}"), classifier(MLP, optimizer="{adam=3e-3}")),
    "faint-by-scale": ("faint_inputs", classifier(CNN, MNIST + "\nscale=0.002", optimizer="{sgd=0.1}"), classifier(CNN, optimizer="{sgd=0.1}")),
    "sigmoid-for-signed-images": (
        "output_activation",
        gan(GENERATOR, data=MNIST + "\nscale=2.0\nshift=-1.0"),
        gan(GENERATOR.replace("sigmoid", "tanh"), data=MNIST + "\nscale=2.0\nshift=-1.0"),
    ),
    "softmax-twice": ("output_activation", classifier(CNN[:-1] + ',"softmax"]', optimizer="{sgd=0.1}"), classifier(CNN, optimizer="{sgd=0.1}")),
    "logits-as-probabilities": (
        "output_activation",
        classifier(CNN).replace('kind="classifier"', 'kind="classifier"\nloss="negative_log_likelihood"'),
        classifier(CNN[:-1] + ',"softmax"]').replace('kind="classifier"', 'kind="classifier"\nloss="negative_log_likelihood"'),
    ),
    "wide-start": ("initialization_too_large", classifier(started("{normal=1.0}"), optimizer="{sgd=0.05}"), classifier(started("{normal=0.1}"), optimizer="{sgd=0.05}")),
    "constant-start": ("zero_initialization", classifier(started("{constant=0.05}")), classifier(MLP)),
    "one-of-two-digits": (
        "class_imbalance",
        classifier('[{dense=48},"relu",{dense=2}]', TWO_DIGITS.format(0.02), optimizer="{sgd=1e-3}"),
        classifier('[{dense=48},"relu",{dense=2}]', TWO_DIGITS.format(1.0), optimizer="{sgd=1e-3}"),
    ),
    "annealed-and-heavy": (
        "kl_weight_too_high or posterior_collapse",
        vae(model="beta=80.0\nbeta_warmup=40"),
        vae(model="beta=1.0\nbeta_warmup=100"),
    ),
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for index, (name, (cause, failing, fixed)) in enumerate((PAIRS | LATER_PAIRS).items()):
        for suffix, first, text in [("", f"Cause: {cause}.", failing), ("-fixed", f"{name} without its cause.", fixed)]:
            head = f'# {first}\nname = "{name}{suffix}"\nseed = {100 + index}\n'
            (folder / f"{name}{suffix}.toml").write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    main()
