# Evaluated once, when R is up, in the environment of the worker's own functions, where the engine has bound those of its own
# that are called here, and the size of pictures. Its parent is base's, so that nothing of the user's can get in between, and
# nothing of it is found from the user's environment.

condition <- marked <- announced <- kept <- NULL

# The class, the message and the calls of the error that `condition` holds, outermost call first.
describe <- function() {
    # From the user's environment, where methods of the user's are found.
    message <- tryCatch(paste(eval(as.call(list(conditionMessage, call("quote", condition))), globalenv()), collapse = "\n"),
                        error = function(e) "")
    announced <<- NULL
    list(class(condition)[[1L]], message, calls())
}

# The calls that are active, innermost first, as R lists them.
active_calls <- function() {
    found <- rev(calls(utils::head(sys.calls(), -1L)))
    if (length(found)) sprintf("%2d: %s", seq_along(found), found)
}

# At most 100 of them: the outer and the inner half of a runaway recursion. A call may hold any amount of data.
calls <- function(found = rev(as.list(get0(".Traceback", baseenv(), inherits = FALSE)))) {
    text <- function(call) {
        text <- paste(if (is.character(call)) call else deparse(call, nlines = 4L), collapse = "\n")
        if (nchar(text, "bytes") <= 1000L) text
        else paste0(tryCatch(substr(text, 1L, 1000L), error = function(e) ""), "...")
    }
    if (length(found) <= 100L) return(vapply(found, text, ""))
    c(vapply(utils::head(found, 50L), text, ""), sprintf("... %d calls ...", length(found) - 100L),
      vapply(utils::tail(found, 50L), text, ""))
}

# One expression, with its source as R's prompt would keep it.
read <- function(text)
    parse(text = text, keep.source = FALSE,
          srcfile = if (isTRUE(getOption("keep.source"))) srcfilecopy("", strsplit(text, "\n", fixed = TRUE)[[1L]]))[[1L]]

# Raises the parser's error, where R does not let us do so as its prompt does.
refuse <- function(text) {
    error <- tryCatch(parse(text = text, keep.source = FALSE), error = identity)
    stop(if (inherits(error, "error")) conditionMessage(error) else "unexpected end of input", call. = FALSE)
}

# What draws when nothing is open to draw on.
device <- function(width = NULL, height = NULL, pointsize = 12, bg = "white", ...) {
    if (is.null(width)) width <- get("width", envir = own)
    if (is.null(height)) height <- get("height", envir = own)
    grDevices::png(.Call(next_file), width = width, height = height, units = "in", res = dpi,
                   pointsize = pointsize, bg = bg, type = "cairo")
    .Call(adopt)
    invisible()
}

# A second device of the same kind, to draw a copy on.
copy <- function(file, width, height, pointsize)
    grDevices::png(file, width = width, height = height, units = "px", res = dpi,
                   pointsize = pointsize, type = "cairo")

# An editor that needs a terminal would wait for ever: there is none.
editor <- function(name = NULL, file = "", title = NULL)
    stop("there is no terminal to edit on: options(editor = ) takes a function, or a program that needs none",
         call. = FALSE)

# Shows files as R's own pager does where there is no terminal, without the backspaces that underline and embolden.
pager <- function(files, header = character(), title = "", delete.file = FALSE) {
    for (i in seq_along(files)) {
        if (i <= length(header) && nzchar(header[[i]])) cat(header[[i]], "\n\n", sep = "")
        cat(gsub(".\b", "", readLines(files[[i]], warn = FALSE)), "", sep = "\n")
    }
    if (delete.file) unlink(files)
    invisible()
}

# Asks for a password, as packages do by the option of this name.
askpass <- function(prompt = "Please enter your password: ") {
    .Call(hide, TRUE)
    on.exit(.Call(hide, FALSE))
    readline(prompt)
}

# Handlers of the user's that lie below every call, as `globalCallingHandlers()` keeps them, come before ours.
handle <- function() {
    users <- registry$gh
    .Internal(.addGlobHands(c(names(users), "error", "rlang_error", "interrupt"),
                            c(users, on_error, on_rlang_error, on_interrupt), .GlobalEnv, NULL, TRUE))
}

on_error <- function(c) {
    n <- sys.nframe() - 1L
    if (!goes_on(n)) record_error(c, n)
    else if (is_from_rlang(n)) {
        announced <<- c
        .Call(announce)
    }
}
on_rlang_error <- function(c) if (!inherits(c, "error") && !goes_on(n <- sys.nframe() - 1L)) record_error(c, n)
on_interrupt <- function(c) .Call(record_interrupt)

# Records an error that the frame `n` raises.
record_error <- function(c, n) .Call(record, if (is_from_rlang(n) && !is.null(announced)) announced else c)

# rlang signals an error, prints its text itself when nobody catches it, and then makes R raise another without text.
is_from_rlang <- function(n) n > 1L && identical(sys.call(n - 1L)[[1L]], quote(signal_abort))

# Whether what signals an error goes on when nobody catches it: `signalCondition()`, and `warning()` of an error's condition.
# `n`: the frame that signals it.
goes_on <- function(n)
    n > 0L && (identical(sys.function(n), signalling) ||
               n > 3L && identical(sys.call(n)[[1L]], quote(doWithOneRestart)) && identical(sys.function(n - 3L), warning))
signalling <- signalCondition
warning <- warning

# Whether R code prints, and not R itself.
is_printing <- function() {
    n <- sys.nframe() - 1L
    n > 0L && identical(sys.function(n), printing)
}
printing <- cat

# Whether R calls functions after it has printed a value.
has_callbacks <- function() length(getTaskCallbackNames()) > 0L

# Whether the outermost call is R's own to print a value: it calls the function itself, not what a name is bound to.
is_printing_result <- function() {
    f <- sys.call(1L)[[1L]]
    identical(f, print) || identical(f, methods::show)
}

# Whether no call is active but this one.
is_at_top <- function() sys.nframe() == 1L

# `.Last.value` as a promise of its value, or as another value. R locks the binding for everybody else.
promise_last_value <- function() {
    value <- get(".Last.value", baseenv(), inherits = FALSE)
    bind_last_value(delayedAssign(".Last.value", value, environment(), baseenv()))
}
set_last_value <- function(value) bind_last_value(assign(".Last.value", value, baseenv()))
bind_last_value <- function(binding) {
    if (exists(".Last.value", baseenv(), inherits = FALSE) && bindingIsLocked(".Last.value", baseenv())) {
        unlockBinding(".Last.value", baseenv())
        on.exit(lockBinding(".Last.value", baseenv()))
    }
    binding
}

registry <- environment(globalCallingHandlers)
own <- environment()
version <- paste(R.version$major, R.version$minor, sep = ".")
if (capabilities("cairo")) local({
    default <- getOption("device")
    if (is.null(default) || identical(default, grDevices::pdf) || identical(default, grDevices::X11) ||
        (is.character(default) && !nzchar(Sys.getenv("R_INTERACTIVE_DEVICE")) && default[[1L]] %in% c("pdf", "X11")))
        options(device = device)
})
local(if (is.character(default <- getOption("editor")) &&
          sub(" .*", "", basename(default[[1L]])) %in%
          c("vi", "vim", "nvim", "nano", "emacs", "pico", "joe", "ed", "ex", "mcedit", "editor"))
    options(editor = editor))
if (is.null(getOption("askpass"))) options(askpass = askpass)
if (identical(getOption("pager"), file.path(R.home("bin"), "pager"))) options(pager = pager)
