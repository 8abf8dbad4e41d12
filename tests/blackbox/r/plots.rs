//! G2: R's pictures.

use crate::support::r::{r, story};

#[test]
fn g2_pages_come_in_order_with_the_text() {
    let mut s = r();
    assert_eq!(story(&mut s, "cat('a\\n'); plot(1:10); cat('b\\n')"), ["a\n", "<plot-1>", "b\n", "Ok"]);
    assert_eq!(story(&mut s, "lines(1:10)"), ["<plot-1 again>", "Ok"]);
    assert_eq!(story(&mut s, "x <- 1; dev.cur()"), ["png \n  2 \n", "Ok"]);
    assert_eq!(story(&mut s, "hist(c(1, 2, 2)); abline(v = 1)"), ["<plot-2>", "Ok"]);
    assert_eq!(
        story(&mut s, "f <- function() for (i in 1:3) {plot(i); cat(i, '\\n')}; f()"),
        ["<plot-3>", "1 \n", "<plot-4>", "2 \n", "<plot-5>", "3 \n", "Ok"]
    );
    assert_eq!(story(&mut s, "for (i in 1:3) plot(i)"), ["<plot-6>", "<plot-7>", "<plot-8>", "Ok"]);
    assert_eq!(story(&mut s, "{plot(1); stop('e')}"), ["<plot-9>", "! Error: e\n", "Error"]);
    assert_eq!(story(&mut s, "{plot(1); cat('mid\\n'); lines(1:2)}"), ["<plot-10>", "mid\n", "<plot-10 again>", "Ok"]);
    assert_eq!(story(&mut s, "1"), ["[1] 1\n", "Ok"]);
}

#[test]
fn g2_pages_come_before_what_a_later_child_prints() {
    let mut s = r();
    assert_eq!(story(&mut s, "plot(1); system('echo x'); cat('y\\n')"), ["<plot-1>", "x\ny\n", "Ok"]);
    assert_eq!(
        story(&mut s, "{plot(1); system('echo x'); lines(1:2); system2('echo', 'z'); cat('y\\n')}"),
        ["<plot-2>", "x\nz\ny\n", "<plot-2 again>", "Ok"]
    );
    assert_eq!(
        story(&mut s, "{plot(1); x <- system('echo x; echo e >&2', intern = TRUE); cat(x, '\\n')}"),
        ["<plot-3>", "! e\n", "x \n", "Ok"]
    );
    assert_eq!(
        story(&mut s, "{plot(1); p <- pipe('cat', 'w'); writeLines('x', p); close(p); cat('y\\n')}"),
        ["<plot-4>", "x\ny\n", "Ok"]
    );
    assert_eq!(
        story(
            &mut s,
            "{plot(1); x <- parallel::mclapply(1, function(i) cat('child\\n')); system('echo x', timeout = 60)}"
        ),
        ["<plot-5>", "child\nx\n", "Ok"]
    );
    assert_eq!(
        story(&mut s, "{plot(1); x <- parallel::mccollect(parallel::mcparallel(cat('child\\n'))); cat('y\\n')}"),
        ["<plot-6>", "child\ny\n", "Ok"]
    );
    assert_eq!(story(&mut s, "system('true')"), ["Ok"]);
}

#[test]
fn g2_several_figures_share_a_page() {
    let mut s = r();
    assert_eq!(story(&mut s, "par(mfrow = c(1, 2)); plot(1); plot(2)"), ["<plot-1>", "Ok"]);
    assert_eq!(story(&mut s, "plot(3)"), ["<plot-2>", "Ok"]);
    assert_eq!(story(&mut s, "plot(4)"), ["<plot-2 again>", "Ok"]);
}

#[test]
fn g2_grid_lattice_and_ggplot2() {
    let mut s = r();
    assert_eq!(story(&mut s, "library(grid); grid.newpage(); grid.rect(); grid.text('x')"), ["<plot-1>", "Ok"]);
    assert_eq!(story(&mut s, "grid.circle()"), ["<plot-1 again>", "Ok"]);
    assert_eq!(story(&mut s, "library(lattice); xyplot(1:10 ~ 1:10)"), ["<plot-2>", "Ok"]);
    assert_eq!(
        story(&mut s, "suppressMessages(library(ggplot2)); ggplot(mtcars, aes(mpg, wt)) + geom_point()"),
        ["<plot-3>", "Ok"]
    );
    assert_eq!(story(&mut s, "for (i in 1:2) print(qplot(mpg, data = mtcars, bins = i))").last().unwrap(), "Ok");
}

#[test]
fn g2_the_users_own_devices_are_left_alone() {
    let mut s = r();
    s.run("setwd(tempdir())").ok();
    assert_eq!(story(&mut s, "png('a.png'); plot(1); x <- dev.off(); file.size('a.png') > 500"), ["[1] TRUE\n", "Ok"]);
    assert_eq!(story(&mut s, "pdf('a.pdf'); plot(1); x <- dev.off(); file.size('a.pdf') > 500"), ["[1] TRUE\n", "Ok"]);
    assert_eq!(
        story(&mut s, "plot(1); pdf('b.pdf'); plot(2); x <- dev.off(); dev.cur()"),
        ["<plot-1>", "png \n  2 \n", "Ok"]
    );
    assert_eq!(story(&mut s, "lines(c(0.8, 1.2), c(1, 1))"), ["<plot-1 again>", "Ok"]);
    assert_eq!(
        story(&mut s, "x <- dev.copy(png, 'c.png'); x <- dev.off(); file.size('c.png') > 500"),
        ["[1] TRUE\n", "Ok"]
    );
    assert_eq!(story(&mut s, "p <- recordPlot(); dev.off()"), ["null device \n          1 \n", "Ok"]);
    assert_eq!(story(&mut s, "plot(5); x <- dev.off()"), ["<plot-2>", "Ok"]);
    assert_eq!(
        story(&mut s, "suppressMessages({library(ggplot2); ggsave('g.png', qplot(1, 1), width = 3, height = 3)}); file.exists('g.png')")
            .last()
            .unwrap(),
        "Ok"
    );
    assert_eq!(
        story(&mut s, "options(device = 'pdf'); plot(1); x <- dev.off(); file.exists('Rplots.pdf')"),
        ["[1] TRUE\n", "Ok"]
    );
}

#[test]
fn g2_the_size_is_what_was_asked_for() {
    use crate::support::harness::{Session, bare_launch};
    let mut s = Session::start(bare_launch("r").arg("--plot").arg("4x3@100"));
    let id = s.begin("plot(1)");
    match s.next() {
        worker_client::Event::OutputImage(image) => {
            assert_eq!((image.width, image.height), (Some(400), Some(300)));
            assert_eq!(image.id.as_deref(), Some(&*id));
        }
        other => s.fail(&format!("{other:?}")),
    }
    s.finish(&id).ok();
}
