# Evaluated at the first request, in an environment of its own below that of bootstrap.R: what the requests are worked out with.
# Nothing here calls methods of the user's, walks a whole object, or forces a promise.

# Runs one of the functions below; what it warns of is nobody's business.
run <- function(f, ...) {
    old <- options(warn = -1L)
    on.exit(options(old))
    f(...)
}

# 0: whole, 2: not finished, 3: broken.
is_complete <- function(code) tryCatch(.Call(judge, code), error = function(e) 3L)

# Where names are looked up: in the innermost frame when a debugger asks.
place <- function(debugging) {
    frame <- sys.nframe() - 3L
    if (debugging && frame > 0L) sys.frame(frame) else globalenv()
}

# The value bound to a name, or a stand-in for one that to read would be to run code.
peek <- function(name, env) {
    if (bindingIsActive(as.name(name), env)) structure(list("active binding"), class = "worker_unread")
    else if (!.Call(is_readable, as.name(name), env)) structure(list("promise"), class = "worker_unread")
    else get(name, envir = env, inherits = FALSE)
}

kind <- function(x) {
    if (inherits(x, "worker_unread")) return(.subset2(x, 1L))
    given <- attr(x, "class", exact = TRUE)
    if (is.character(given) && length(given)) return(given[[1L]])
    dim <- attr(x, "dim", exact = TRUE)
    if (is.null(dim)) { if (is.function(x)) "function" else if (is.double(x)) "numeric" else typeof(x) }
    else if (length(dim) == 2L) "matrix" else "array"
}

few <- function(x, most) if (length(x) > most) c(x[seq_len(most)], "...") else x

summarise <- function(x) {
    if (inherits(x, "worker_unread")) return("")
    size <- .Call(length_of, x)
    names <- attr(x, "names", exact = TRUE)
    if (is.function(x)) return(signature(x))
    if (inherits(x, "data.frame"))
        return(sprintf("%d obs. of %g variables: %s", abs(.row_names_info(x, 2L)), size,
                       paste(few(as.character(names), 10L), collapse = ", ")))
    if (is.environment(x) || isS4(x)) return(sprintf("<%s>", kind(x)))
    if (inherits(x, "factor"))
        return(sprintf("factor of %g: %s", size, paste(few(attr(x, "levels", exact = TRUE), 5L), collapse = ", ")))
    if (is.null(x)) return("NULL")
    if (is.symbol(x) || is.language(x)) return(deparse(x, nlines = 1L)[[1L]])
    dim <- attr(x, "dim", exact = TRUE)
    extent <- paste(if (is.null(dim)) sprintf("%g", size) else dim, collapse = " x ")
    if (is.list(x) || is.pairlist(x))
        return(if (is.character(names)) sprintf("list of %s: %s", extent, paste(few(names, 10L), collapse = ", "))
               else sprintf("list of %s", extent))
    if (!is.atomic(x)) return(sprintf("<%s>", typeof(x)))
    shown <- .subset(x, seq_len(min(size, 5)))
    attributes(shown) <- NULL
    if (is.character(shown)) shown <- encodeString(substr(shown, 1L, 40L), quote = "\"")
    text <- paste(c(format.default(shown, trim = TRUE, digits = 4L), if (size > 5) "..."), collapse = " ")
    if (size == 1 && is.null(dim)) text else sprintf("[%s] %s", extent, text)
}

signature <- function(f) {
    text <- sub("^function ", "function", paste(trimws(deparse(args(f), nlines = 20L)), collapse = " "))
    sub(" ?NULL$", "", text)
}

variables <- function(debugging) {
    env <- place(debugging)
    names <- ls(env)
    left <- length(names) - 1000L
    if (left > 0L) names <- names[seq_len(1000L)]
    until <- proc.time()[[3L]] + 0.5
    kinds <- summaries <- character(length(names))
    for (i in seq_along(names)) {
        if (proc.time()[[3L]] > until) { names <- names[seq_len(i - 1L)]; break }
        value <- peek(names[[i]], env)
        kinds[[i]] <- kind(value)
        summaries[[i]] <- substr(tryCatch(summarise(value), error = function(e) ""), 1L, 200L)
    }
    list(names, kinds[seq_along(names)], summaries[seq_along(names)])
}

# Completions of the end of `line`, with how many of its last characters they replace.
complete <- function(line, debugging) {
    env <- place(debugging)
    old <- utils:::.CompletionEnv[["settings"]][["ipck"]]
    utils::rc.settings(ipck = TRUE)
    on.exit(utils::rc.settings(ipck = old))
    utils:::.assignLinebuffer(line)
    utils:::.assignEnd(nchar(line))
    token <- utils:::.guessTokenFromLine()
    # To complete the components of a call's value the machinery would have to make the call.
    found <- if (grepl("[)\\]]\\s*[$@][^$@]*$", token, perl = TRUE)) character() else {
        utils:::.completeToken()
        utils:::.retrieveCompletions()
    }
    if (!identical(env, globalenv()) && grepl("^[[:alnum:]._]*$", token))
        found <- c(ls(env)[startsWith(ls(env), token)], found)
    found <- unique(found[nzchar(found) & found != token | grepl("^[[:alnum:]._]+$", found)])
    if (length(found) > 1000L) found <- found[seq_len(1000L)]
    quoted <- utils:::isInsideQuotes()
    if (quoted) found <- gsub("//", "/", found, fixed = TRUE)
    type <- function(name) {
        if (quoted) return("path")
        if (endsWith(name, "=")) return("argument")
        if (endsWith(name, "::")) return("module")
        if (grepl("[$@]", name)) return("component")
        name <- sub(".*::+", "", sub("\\($", "", name))
        if (name %in% keywords) "keyword" else if (exists(name, envir = env, mode = "function")) "function" else "object"
    }
    list(found, vapply(found, type, "", USE.NAMES = FALSE), nchar(token))
}

keywords <- c("if", "else", "repeat", "while", "function", "for", "next", "break", "TRUE", "FALSE", "NULL", "Inf", "NaN", "NA",
              "in")

# What is known of the name around the cursor: its signature or summary, and its help page.
inspect <- function(name, debugging) {
    env <- place(debugging)
    parts <- strsplit(name, ":::?")[[1L]]
    topic <- parts[[length(parts)]]
    package <- if (length(parts) == 2L) parts[[1L]]
    value <- NULL
    found <- FALSE
    text <- character()
    if (is.null(package)) {
        while (!identical(env, emptyenv()) && !exists(topic, envir = env, inherits = FALSE)) env <- parent.env(env)
        if (found <- !identical(env, emptyenv())) value <- if (is_package(env)) get(topic, envir = env) else peek(topic, env)
    } else if (package %in% loadedNamespaces() && exists(topic, envir = asNamespace(package), inherits = FALSE)) {
        found <- TRUE
        value <- get(topic, envir = asNamespace(package))
    }
    if (found) text <- if (is.function(value)) paste0(topic, sub("^function", "", signature(value)))
                       else sprintf("%s: %s %s", topic, kind(value), summarise(value))
    if (!found || is.function(value)) text <- c(text, page(topic, package))
    if (length(text)) paste(text, collapse = "\n\n") else character()
}

is_package <- function(env) identical(env, baseenv()) || startsWith(environmentName(env), "package:")

page <- function(topic, package) {
    file <- tryCatch(utils::help((topic), package = (package), help_type = "text"), error = function(e) character())
    if (!length(file)) return(character())
    rd <- tryCatch(utils:::.getHelpFile(as.character(file)[[1L]]), error = function(e) NULL)
    if (is.null(rd)) return(character())
    lines <- utils::capture.output(tools::Rd2txt(rd, options = list(underline_titles = FALSE)))
    paste(lines, collapse = "\n")
}
