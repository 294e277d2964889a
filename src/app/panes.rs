//! The panes of the window and how they are arranged: a person drags, resizes and stacks them, and the arrangement is kept.

use super::export::Wish;
use egui_tiles::{Container, Linear, LinearDir, Tabs, Tile, TileId, Tiles, Tree};
use serde::{Deserialize, Serialize};

/// Below this width or height of the window, in points, one pane at a time is shown.
const FOLDED: egui::Vec2 = egui::vec2(760.0, 420.0);

/// A part of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pane {
    /// How the run is doing, and what is looked at.
    Run,
    /// The verdict, its evidence and its fixes.
    Explain,
    /// Scalars over time.
    Snapshots,
    /// The model as a graph.
    Layers,
    /// The units of a tensor over time.
    Units,
    /// What moved a unit.
    Credit,
    /// What a unit wants to see, and which units behave like it.
    Unit,
    /// What the model makes, and a tensor of the chosen step.
    Images,
}

impl Pane {
    pub const ALL: [Self; 8] = [
        Self::Snapshots,
        Self::Layers,
        Self::Units,
        Self::Images,
        Self::Run,
        Self::Explain,
        Self::Credit,
        Self::Unit,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Explain => "Explain",
            Self::Snapshots => "Snapshots",
            Self::Layers => "Layers",
            Self::Units => "Units",
            Self::Images => "Images",
            Self::Credit => "Credit",
            Self::Unit => "Unit",
        }
    }
}

/// The arrangement of the panes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrangement {
    tree: Tree<Pane>,
    /// Used instead where the window is too small for more than one pane; not kept.
    folded: Tree<Pane>,
}

/// A part of an arrangement, as it is kept in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Pane(Pane),
    /// Parts behind each other, and which is in front.
    Tabs(Vec<Part>, usize),
    /// Parts beside each other with their shares of the room.
    Columns(Vec<(Part, f32)>),
    /// Parts below each other with their shares of the room.
    Rows(Vec<(Part, f32)>),
}

impl Default for Arrangement {
    fn default() -> Self {
        let pane = Part::Pane;
        let left = Part::Tabs(vec![pane(Pane::Run), pane(Pane::Explain)], 0);
        let top = Part::Columns(vec![
            (pane(Pane::Snapshots), 0.64),
            (pane(Pane::Images), 0.36),
        ]);
        let units = Part::Tabs(
            vec![pane(Pane::Units), pane(Pane::Credit), pane(Pane::Unit)],
            0,
        );
        let right = Part::Rows(vec![(top, 0.34), (pane(Pane::Layers), 0.32), (units, 0.34)]);
        Self::of(&Part::Columns(vec![(left, 0.21), (right, 0.79)]))
    }
}

/// Puts a part among the tiles of a tree.
fn insert(tiles: &mut Tiles<Pane>, part: &Part) -> TileId {
    let linear = |tiles: &mut Tiles<Pane>, dir, parts: &[(Part, f32)]| {
        let children: Vec<TileId> = parts.iter().map(|(part, _)| insert(tiles, part)).collect();
        let mut linear = Linear::new(dir, children.clone());
        for (tile, (_, share)) in children.into_iter().zip(parts) {
            linear.shares.set_share(tile, *share);
        }
        tiles.insert_new(Tile::Container(Container::Linear(linear)))
    };
    match part {
        Part::Pane(pane) => tiles.insert_pane(*pane),
        Part::Tabs(parts, front) => {
            let children: Vec<TileId> = parts.iter().map(|part| insert(tiles, part)).collect();
            let mut tabs = Tabs::new(children.clone());
            if let Some(front) = children.get(*front) {
                tabs.set_active(*front);
            }
            tiles.insert_new(Tile::Container(Container::Tabs(tabs)))
        }
        Part::Columns(parts) => linear(tiles, LinearDir::Horizontal, parts),
        Part::Rows(parts) => linear(tiles, LinearDir::Vertical, parts),
    }
}

/// The part that begins with a tile; `None` where the tree has lost it.
fn part_of(tiles: &Tiles<Pane>, tile: TileId) -> Option<Part> {
    Some(match tiles.get(tile)? {
        Tile::Pane(pane) => Part::Pane(*pane),
        Tile::Container(Container::Tabs(tabs)) => {
            let front = tabs
                .children
                .iter()
                .position(|child| Some(*child) == tabs.active);
            let parts = tabs
                .children
                .iter()
                .filter_map(|child| part_of(tiles, *child));
            Part::Tabs(parts.collect(), front.unwrap_or(0))
        }
        Tile::Container(Container::Linear(linear)) => {
            let children = linear.children.iter();
            let parts = children
                .filter_map(|child| Some((part_of(tiles, *child)?, linear.shares[*child])))
                .collect();
            match linear.dir {
                LinearDir::Horizontal => Part::Columns(parts),
                LinearDir::Vertical => Part::Rows(parts),
            }
        }
        Tile::Container(Container::Grid(grid)) => {
            let parts = grid.children().filter_map(|child| part_of(tiles, *child));
            Part::Columns(parts.map(|part| (part, 1.0)).collect())
        }
    })
}

impl Arrangement {
    fn of(part: &Part) -> Self {
        let mut tiles = Tiles::default();
        let root = insert(&mut tiles, part);
        Self {
            tree: Tree::new(egui::Id::unique("panes"), root, tiles),
            folded: Tree::new_tabs(egui::Id::unique("folded panes"), Pane::ALL.to_vec()),
        }
    }

    /// What is kept of it.
    pub fn part(&self) -> Option<Part> {
        part_of(&self.tree.tiles, self.tree.root?)
    }

    /// The arrangement that was kept, if it has every pane once, which that of another version may not have.
    pub fn kept(part: &Part) -> Option<Self> {
        fn count(part: &Part, pane: Pane) -> usize {
            match part {
                Part::Pane(other) => usize::from(*other == pane),
                Part::Tabs(parts, _) => parts.iter().map(|part| count(part, pane)).sum(),
                Part::Columns(parts) | Part::Rows(parts) => {
                    parts.iter().map(|(part, _)| count(part, pane)).sum()
                }
            }
        }
        let is_once = |pane: &Pane| count(part, *pane) == 1;
        Pane::ALL.iter().all(is_once).then(|| Self::of(part))
    }

    /// Brings a pane to the front.
    pub fn bring(&mut self, pane: Pane) {
        for tree in [&mut self.tree, &mut self.folded] {
            tree.make_active(|_, tile| matches!(tile, Tile::Pane(other) if *other == pane));
        }
    }

    /// Shows all panes in the room there is, each by `show`. Returns what was chosen in the menu of one.
    pub fn ui(
        &mut self,
        ui: &mut egui::Ui,
        show: &mut dyn FnMut(&mut egui::Ui, Pane),
    ) -> Option<(Pane, Wish)> {
        let room = ui.available_size();
        let tree = if room.x < FOLDED.x || room.y < FOLDED.y {
            &mut self.folded
        } else {
            &mut self.tree
        };
        let mut chosen = None;
        let mut behavior = Behavior {
            show,
            chosen: &mut chosen,
        };
        tree.ui(&mut behavior, ui);
        chosen
    }
}

struct Behavior<'a> {
    show: &'a mut dyn FnMut(&mut egui::Ui, Pane),
    /// What was chosen in the menu of a pane.
    chosen: &'a mut Option<(Pane, Wish)>,
}

impl egui_tiles::Behavior<Pane> for Behavior<'_> {
    fn pane_ui(
        &mut self,
        ui: &mut egui::Ui,
        _: egui_tiles::TileId,
        pane: &mut Pane,
    ) -> egui_tiles::UiResponse {
        let frame = egui::Frame::new().inner_margin(4.0);
        frame.show(ui, |ui| {
            // Children of what is shown are told apart by the pane, wherever it is.
            ui.push_id(*pane, |ui| (self.show)(ui, *pane));
        });
        egui_tiles::UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &Pane) -> egui::WidgetText {
        pane.title().into()
    }

    fn top_bar_right_ui(
        &mut self,
        tiles: &Tiles<Pane>,
        ui: &mut egui::Ui,
        _: TileId,
        tabs: &Tabs,
        _: &mut f32,
    ) {
        let front = tabs.active.and_then(|tile| tiles.get_pane(&tile)).copied();
        let Some(pane) = front else {
            return;
        };
        let menu = ui.menu_button("…", |ui| {
            for wish in Wish::all() {
                if ui.button(wish.text(pane)).clicked() {
                    *self.chosen = Some((pane, wish));
                }
            }
        });
        let name = format!("Menu of {}", pane.title());
        menu.response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        menu.response.on_hover_text(name);
    }

    fn gap_width(&self, _: &egui::Style) -> f32 {
        3.0
    }

    fn simplification_options(&self) -> egui_tiles::SimplificationOptions {
        egui_tiles::SimplificationOptions {
            // A pane without tabs could not be dragged.
            all_panes_must_have_tabs: true,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrangement_is_kept_as_text_and_one_that_lacks_a_pane_is_not_used() {
        let part = Arrangement::default().part().unwrap();
        let text = serde_json::to_string(&part).unwrap();
        let read: Part = serde_json::from_str(&text).unwrap();
        assert_eq!(read, part);
        assert_eq!(Arrangement::kept(&read).unwrap().part(), Some(part));
        let lacking = Part::Tabs(vec![Part::Pane(Pane::Run)], 0);
        assert_eq!(Arrangement::kept(&lacking), None);
    }
}
