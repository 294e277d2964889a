//! What somebody may have meant who wrote a key or a word that the format does not have: words of other libraries,
//! spelling mistakes, and keys that belong elsewhere.

use serde_json::Value as Schema;
use toml::{Table, Value};

use super::model::ModelKind;
use super::schema::Expected;

/// Keys of other libraries, and ours: a path, or a bare key where it exists in the same table.
const KEYS: &[(&[&str], &str)] = &[
    (
        &[
            "batch_size",
            "batchsize",
            "bs",
            "minibatch",
            "minibatch_size",
        ],
        "train.batch",
    ),
    (
        &[
            "iterations",
            "iters",
            "num_steps",
            "max_steps",
            "n_steps",
            "total_steps",
        ],
        "train.steps",
    ),
    (
        &["learning_rate", "learningrate", "lr"],
        "train.optimizer.adam.lr",
    ),
    (&["optim", "optimiser"], "train.optimizer"),
    (
        &["scheduler", "lr_scheduler", "lr_schedule"],
        "train.schedule",
    ),
    (
        &[
            "grad_clip",
            "gradient_clip",
            "max_grad_norm",
            "clip_grad_norm",
            "clipnorm",
        ],
        "train.clip.norm",
    ),
    (&["clip_value", "clipvalue"], "train.clip.value"),
    (&["ema_decay"], "train.ema"),
    (
        &[
            "latent_dim",
            "latent_size",
            "latent_units",
            "z_dim",
            "zdim",
            "nz",
            "code_size",
        ],
        "model.latent",
    ),
    (
        &["log_every", "log_interval", "record_every"],
        "record.every",
    ),
    (
        &["save_every", "checkpoint_interval", "ckpt_every"],
        "record.checkpoint_every",
    ),
    (&["dataset", "type", "kind"], "data.source"),
    (&["type", "model_type"], "model.kind"),
    (&["kl_weight", "beta_kl"], "model.beta"),
    (
        &["n_critic", "d_steps", "discriminator_steps"],
        "model.critic_steps",
    ),
    (&["clip_weights", "weight_clipping"], "model.weight_clip"),
    (
        &["gp", "gp_weight", "lambda_gp", "gp_lambda", "grad_penalty"],
        "model.gradient_penalty",
    ),
    (&["critic"], "model.discriminator"),
    (
        &["d_optimizer", "critic_optimizer"],
        "train.discriminator_optimizer",
    ),
    (&["image_size", "resolution", "img_size"], "data.size"),
    (&["num_samples", "n_samples"], "data.count"),
    (&["root", "dir", "folder", "directory"], "data.path"),
    (&["random_seed", "manual_seed"], "seed"),
    (
        &["out_features", "features", "width", "size", "neurons"],
        "units",
    ),
    (&["out_channels", "filters"], "channels"),
    (&["kernel_size", "ksize"], "kernel"),
    (&["strides"], "stride"),
    (&["negative_slope", "alpha"], "slope"),
    (&["slope"], "alpha"),
    (&["scale_factor", "scale"], "factor"),
    (&["initialization", "initializer", "weight_init"], "init"),
    (&["epsilon"], "eps"),
    (&["wd", "l2", "decay"], "weight_decay"),
    (&["gamma"], "factor"),
    (&["step_size"], "every"),
    (&["t_max", "total"], "steps"),
    (&["warmup_steps"], "warmup"),
    (&["rho"], "alpha"),
];

/// Keys of other libraries that ours has no single key for.
const SENTENCES: &[(&[&str], &str)] = &[
    (
        &["epochs", "epoch", "num_epochs", "n_epochs", "max_epochs"],
        "use train.steps, which counts batches: an epoch of 10,000 samples in batches of 128 is 79 of them",
    ),
    (
        &["betas"],
        "write beta1 = 0.9 and beta2 = 0.999 in the table of adam or adamw",
    ),
    (
        &["loss", "criterion", "loss_fn"],
        "leave it out, or choose with model.reconstruction (a VAE) or model.objective (a GAN)",
    ),
    (
        &["device", "gpu", "cuda"],
        "leave it out and choose the adapter with --adapter NAME",
    ),
    (
        &["activation", "nonlinearity"],
        "write it as the next layer of the list, such as \"relu\"",
    ),
    (
        &[
            "in_features",
            "in_channels",
            "input_size",
            "input_dim",
            "input_shape",
        ],
        "leave it out: the shape of what comes in is known",
    ),
    (&["bias", "use_bias"], "leave it out: the layer has a bias"),
    (
        &["num_workers", "workers", "pin_memory"],
        "leave it out: batches are made by the adapter",
    ),
    (
        &["num_classes", "classes", "n_classes"],
        "leave it out: the data has its classes, and the last dense layer its units",
    ),
];

/// Words of other libraries, and ours where it is one of those that are possible.
const WORDS: &[(&[&str], &str)] = &[
    (&["wgan", "wgan_clip", "earth_mover"], "wasserstein"),
    (
        &["bce", "gan", "vanilla", "nonsaturating", "ns", "logistic"],
        "cross_entropy",
    ),
    (&["saturating", "original"], "minimax"),
    (
        &[
            "binary_cross_entropy",
            "cross_entropy",
            "bernoulli",
            "bcewithlogits",
        ],
        "bce_with_logits",
    ),
    (&["mse", "l2", "mean_squared_error"], "squared_error"),
    (&["cnn", "mlp", "classification", "convnet"], "classifier"),
    (&["dcgan", "wgan", "wgangp"], "gan"),
    (
        &["autoencoder", "ae", "beta_vae", "cvae", "conv_vae"],
        "vae",
    ),
    (&["linear", "fc", "fully_connected"], "dense"),
    (&["conv", "convolution"], "conv2d"),
    (
        &[
            "deconv",
            "convtranspose",
            "conv2d_transpose",
            "transposed_conv2d",
        ],
        "conv_transpose2d",
    ),
    (&["maxpool", "max_pool"], "max_pool2d"),
    (&["avgpool", "avg_pool", "average_pool"], "avg_pool2d"),
    (
        &["gap", "global_average_pool", "adaptive_avg_pool2d"],
        "global_avg_pool",
    ),
    (&["bn", "batchnorm1d", "batchnorm2d"], "batch_norm"),
    (&["ln"], "layer_norm"),
    (&["lrelu"], "leaky_relu"),
    (&["swish"], "silu"),
    (&["view", "unflatten"], "reshape"),
    (&["skip", "resnet_block"], "residual"),
    (&["momentum", "gradient_descent"], "sgd"),
    (&["kaiming", "kaiming_normal", "he_normal"], "he"),
    (&["glorot", "glorot_uniform", "xavier_uniform"], "xavier"),
    (&["zero"], "zeros"),
    (&["default", "torch"], "pytorch"),
    (&["logvar", "unbounded"], "exp"),
    (&["tanh", "clamp", "clipped"], "bounded"),
    (&["steplr", "multistep"], "step"),
    (&["cosineannealing", "cosineannealinglr"], "cosine"),
    (&["folder", "imagefolder", "png"], "images"),
    (&["numpy"], "npy"),
    (&["cifar"], "cifar10"),
    (
        &["fashion_mnist", "fashionmnist", "emnist", "kmnist"],
        "idx",
    ),
];

/// Words of other libraries that ours has no word for.
const WORD_SENTENCES: &[(&[&str], &str)] = &[
    (
        &["wgan_gp", "wgangp"],
        "use objective = \"wasserstein\" with gradient_penalty = 10.0",
    ),
    (
        &["log_softmax"],
        "leave it out: the classifier's loss applies the softmax to logits",
    ),
    (&["lsgan"], "use \"least_squares\""),
];

/// Answers about one scenario.
pub(super) struct Suggestions<'s> {
    root: &'s Schema,
    /// The optimizer that the scenario has chosen.
    optimizer: String,
    kind: Option<ModelKind>,
}

impl<'s> Suggestions<'s> {
    pub fn new(root: &'s Schema, scenario: &Table) -> Self {
        let within = |section: &str, key: &str| Some(scenario.get(section)?.get(key)?.clone());
        let chosen = within("train", "optimizer");
        let chosen = chosen.as_ref().and_then(Value::as_table);
        let optimizer = chosen.and_then(|table| table.keys().next().cloned());
        Self {
            root,
            optimizer: optimizer.unwrap_or_else(|| "adam".to_owned()),
            kind: within("model", "kind").and_then(|kind| kind.try_into().ok()),
        }
    }

    /// What to write instead of `key` in the table at `path`, which has the keys `known`.
    pub fn for_key(&self, path: &str, key: &str, known: &[&str]) -> String {
        // Keys of other kinds of models are no help.
        let of_kind = match (path, self.kind) {
            ("model", Some(kind)) => kind.keys().0,
            _ => &[],
        };
        let is_usable =
            |name: &&&str| of_kind.is_empty() || **name == "kind" || of_kind.contains(*name);
        let known: Vec<&str> = known.iter().filter(is_usable).copied().collect();
        let plain = plain(key);
        if let Some((_, sentence)) = find(SENTENCES, &plain).next() {
            return (*sentence).to_owned();
        }
        for (_, ours) in find(KEYS, &plain) {
            let (section, name) = ours.rsplit_once('.').unwrap_or(("", ours));
            if known.contains(&name) && (section == path || !ours.contains('.')) {
                return format!("did you mean '{name}'?");
            }
        }
        if let Some(near) = nearest(key, known.iter().copied()) {
            return format!("did you mean '{near}'?");
        }
        let elsewhere = find(KEYS, &plain).find(|(_, ours)| ours.contains('.'));
        let elsewhere = elsewhere.map(|(_, ours)| self.chosen(ours));
        if let Some(ours) = elsewhere.or_else(|| self.path_of(key)) {
            return format!("did you mean '{ours}'?");
        }
        match known[..] {
            [] => "leave it out".to_owned(),
            _ => format!("the keys that may be here are {}", known.join(", ")),
        }
    }

    /// What to write instead of `word` at `path`, where these words and tables with these names are possible.
    pub fn for_word(&self, path: &str, word: &str, words: &[&str], tables: &[&str]) -> String {
        let plain = plain(word);
        let all = || words.iter().chain(tables).copied();
        let meant = find(WORDS, &plain).find_map(|(_, ours)| all().find(|known| known == ours));
        let sentence = || {
            find(WORD_SENTENCES, &plain)
                .next()
                .filter(|_| meant.is_none())
        };
        if let (Some((_, sentence)), true) = (sentence(), path.starts_with("model.")) {
            return (*sentence).to_owned();
        }
        if path.ends_with("optimizer")
            && ["lr", "learningrate", "name", "type"].contains(&plain.as_str())
        {
            return "write the optimizer's name first, such as { adam = { lr = 1e-3 } }".to_owned();
        }
        let written = |name: &str| {
            if tables.contains(&name) {
                format!("{{ {name} = ... }}")
            } else {
                format!("{name:?}")
            }
        };
        if let Some(near) = meant.or_else(|| nearest(word, all())) {
            return format!("did you mean {}?", written(near));
        }
        let choices: Vec<String> = all().map(written).collect();
        format!("use one of {}", choices.join(", "))
    }

    /// A path, with the scenario's optimizer in the place of Adam.
    fn chosen(&self, path: &str) -> String {
        path.replace(".adam.", &format!(".{}.", self.optimizer))
    }

    /// The path of a key somewhere else in the format.
    fn path_of(&self, key: &str) -> Option<String> {
        let mut paths = Vec::new();
        collect(self.root, self.root, "", &mut paths);
        let ends = |path: &&String| path.rsplit('.').next() == Some(key);
        let mut found = paths.iter().filter(ends);
        let chosen = format!(".{}.", self.optimizer);
        let is_chosen = |path: &&String| path.contains(&chosen);
        let best = found.clone().find(is_chosen).or_else(|| found.next());
        best.cloned()
    }
}

/// Every path of a key, lists left out.
fn collect(root: &Schema, part: &Schema, path: &str, paths: &mut Vec<String>) {
    let entries: Vec<(&str, &Schema)> = match Expected::of(root, part) {
        Expected::Section { keys, .. } => keys.iter().map(|(k, v)| (k.as_str(), v)).collect(),
        Expected::Variants { tables, .. } => tables,
        _ => Vec::new(),
    };
    for (key, inner) in entries {
        let path = match path {
            "" => key.to_owned(),
            _ => format!("{path}.{key}"),
        };
        collect(root, inner, &path, paths);
        paths.push(path);
    }
}

/// A word without what people write differently: case, underscores, hyphens.
fn plain(word: &str) -> String {
    let letters = word.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

fn find<'t, T>(
    table: &'t [(&'t [&'t str], T)],
    plain_word: &str,
) -> impl Iterator<Item = &'t (&'t [&'t str], T)> {
    table
        .iter()
        .filter(move |(words, _)| words.iter().any(|word| plain(word) == plain_word))
}

/// The known name that `word` is a misspelling of, if there is one.
pub(crate) fn nearest<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let word = plain(word);
    let distance = |name: &str| strsim::damerau_levenshtein(&word, &plain(name));
    let scored = known.map(|name| (distance(name), name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters: `bach` and `latnet`, but not `foo` for `data`.
    (distance * 3 <= word.chars().count()).then_some(name)
}
