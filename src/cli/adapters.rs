//! `trainscope adapters`

use serde_json::json;
use trainscope::Result;
use trainscope::gpu::adapter;

use super::Common;

pub fn run(common: &Common) -> Result<()> {
    let adapters = adapter::list(&adapter::instance());
    if adapters.is_empty() {
        // The sentence is the chooser's own.
        return adapter::choose(&adapter::instance(), &common.choice(), None).map(|_| ());
    }
    let chosen = adapter::choose(&adapter::instance(), &common.choice(), None)?.get_info();
    let mut rows = Vec::new();
    for adapter in adapters {
        let info = adapter.get_info();
        let is_chosen = info == chosen;
        if !common.json {
            let mark = if is_chosen { "*" } else { " " };
            common.note(&format!("{mark} {}", adapter::describe(&info)));
        }
        rows.push(json!({
            "name": info.name,
            "backend": info.backend.to_string(),
            "driver": format!("{} {}", info.driver, info.driver_info).trim(),
            "type": format!("{:?}", info.device_type),
            "chosen": is_chosen,
        }));
    }
    common.print_json(&json!({ "adapters": rows }));
    Ok(())
}
