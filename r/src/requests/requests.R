# Evaluated at the first request, in an environment of its own below that of bootstrap.R: what the requests are worked out with.
# Nothing here calls methods of the user's, walks a whole object, or forces a promise.

# Runs one of the functions below, without its warnings.
run <- function(f, ...) {
    old <- options(warn = -1L)
    on.exit(options(old))
    f(...)
}

# 0: whole, 2: not finished, 3: broken.
is_complete <- function(code) tryCatch(.Call(parse_status, code), error = function(e) 3L)

# Where names are looked up: in the innermost frame when a debugger asks.
place <- function(debugging) {
    frame <- sys.nframe() - 3L
    if (debugging && frame > 0L) sys.frame(frame) else globalenv()
}

# The value bound to a name, or a stand-in for one that to read would be to run code.
peek <- function(name, env) {
    if (bindingIsActive(as.name(name), env)) structure(list("active binding"), class = "worker_unread")
    else switch(.Call(unread, as.name(name), env), get(name, envir = env, inherits = FALSE),
                structure(list("promise"), class = "worker_unread"), structure(list("missing"), class = "worker_unread"))
}

kind <- function(x) {
    if (inherits(x, "worker_unread")) return(.subset2(x, 1L))
    given <- attr(x, "class", exact = TRUE)
    if (is.character(given) && length(given)) return(given[[1L]])
    dim <- attr(x, "dim", exact = TRUE)
    if (is.null(dim)) { if (is.function(x)) "function" else if (is.double(x)) "numeric" else typeof(x) }
    else if (length(dim) == 2L) "matrix" else "array"
}

# What a name is bound to where it is looked up from `env`, in a list of one; NULL when it is not bound. What packages bind
# is loaded when it is first read.
look_up <- function(name, env) {
    while (!identical(env, emptyenv())) {
        if (exists(name, envir = env, inherits = FALSE))
            return(list(if (is_package(env) && !bindingIsActive(as.name(name), env)) get(name, envir = env, inherits = FALSE)
                        else peek(name, env)))
        env <- parent.env(env)
    }
}

is_package <- function(env) identical(env, baseenv()) || startsWith(environmentName(env), "package:")

# The value of a name or of a component of one, in a list of one; NULL when there is none, or when to read it would be to run
# code.
reach <- function(expr, env) {
    if (is.symbol(expr)) return(look_up(as.character(expr), env))
    if (!is.call(expr) || !is.symbol(op <- expr[[1L]])) return(NULL)
    op <- as.character(op)
    if (op == "(") return(reach(expr[[2L]], env))
    if (length(expr) != 3L || !op %in% c("::", ":::", "$", "@", "[[")) return(NULL)
    what <- expr[[3L]]
    if (op %in% c("::", ":::")) return(member(as.character(expr[[2L]]), as.character(what)))
    x <- reach(expr[[2L]], env)
    if (is.null(x) || inherits(x <- x[[1L]], "worker_unread")) return(NULL)
    if (op == "@")
        return(if (as.character(what) %in% (if (isS4(x)) methods::slotNames(x) else own_names(x, ".AtNames")))
                   list(attr(x, as.character(what), exact = TRUE)))
    if (op == "$") what <- as.character(what) else if (!is.character(what) && !is.numeric(what)) return(NULL)
    if (is.environment(x)) return(if (is.character(what) && exists(what, envir = x, inherits = FALSE)) list(peek(what, x)))
    if (!is.list(x)) return(NULL)
    at <- if (is.character(what)) match(what, attr(x, "names", exact = TRUE)) else what
    if (!is.na(at) && at >= 1 && at <= .Call(length_of, x)) list(.subset2(x, at))
}

# The same of a loaded package.
member <- function(package, name) {
    if (!package %in% loadedNamespaces()) return(NULL)
    for (env in list(asNamespace(package), .getNamespaceInfo(asNamespace(package), "lazydata")))
        if (is.environment(env) && exists(name, envir = env, inherits = FALSE))
            return(list(if (bindingIsActive(as.name(name), env)) peek(name, env) else get(name, envir = env, inherits = FALSE)))
}

# Text whose every character can be counted and cut.
tidy <- function(x) {
    bad <- !validEnc(x) | Encoding(x) == "bytes"
    x[bad] <- iconv(x[bad], "UTF-8", "UTF-8", sub = "byte")
    x
}

few <- function(x, most) if (length(x) > most) c(x[seq_len(most)], "...") else x

summarise <- function(x) {
    if (inherits(x, "worker_unread")) return("")
    size <- .Call(length_of, x)
    names <- attr(x, "names", exact = TRUE)
    if (is.function(x)) return(signature(x))
    if (inherits(x, "data.frame"))
        return(sprintf("%d obs. of %g variables: %s", abs(.row_names_info(x, 2L)), size,
                       paste(few(tidy(as.character(names)), 10L), collapse = ", ")))
    if (is.environment(x) || isS4(x)) return(sprintf("<%s>", kind(x)))
    if (inherits(x, "factor"))
        return(sprintf("factor of %g: %s", size, paste(few(tidy(attr(x, "levels", exact = TRUE)), 5L), collapse = ", ")))
    if (is.null(x)) return("NULL")
    if (is.symbol(x) || is.language(x)) return(deparse(x, nlines = 1L)[[1L]])
    dim <- attr(x, "dim", exact = TRUE)
    extent <- paste(if (is.null(dim)) sprintf("%g", size) else dim, collapse = " x ")
    if (is.list(x) || is.pairlist(x))
        return(if (is.character(names)) sprintf("list of %s: %s", extent, paste(few(tidy(names), 10L), collapse = ", "))
               else sprintf("list of %s", extent))
    if (!is.atomic(x)) return(sprintf("<%s>", typeof(x)))
    shown <- .subset(x, seq_len(min(size, 5)))
    attributes(shown) <- NULL
    if (is.character(shown)) shown <- vapply(shown, quoted, "", USE.NAMES = FALSE)
    text <- paste(c(format.default(shown, trim = TRUE, digits = 4L, justify = "none"), if (size > 5) "..."), collapse = " ")
    if (size == 1 && is.null(dim)) text else sprintf("[%s] %s", extent, text)
}

# The beginning of a string as R prints it.
quoted <- function(x) {
    if (validEnc(x) && Encoding(x) != "bytes") encodeString(substr(x, 1L, 40L), quote = "\"")
    else paste0("\"", substr(encodeString(rawToChar(utils::head(charToRaw(x), 40L))), 1L, 80L), "\"")
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
        summaries[[i]] <- tryCatch(substr(tidy(summarise(value)), 1L, 200L), error = function(e) "")
    }
    list(names, kinds[seq_along(names)], summaries[seq_along(names)])
}

# Completions of the end of `line`, with how many of its last characters they replace.
complete <- function(line, debugging) {
    env <- place(debugging)
    until <- proc.time()[[3L]] + 0.5
    machine <- utils:::.CompletionEnv
    kept <- machine[["settings"]]
    on.exit(machine[["settings"]] <- kept)
    utils::rc.settings(ipck = TRUE, func = FALSE)
    utils:::.assignLinebuffer(line)
    utils:::.assignEnd(nchar(line))
    token <- utils:::.guessTokenFromLine()
    quoted <- utils:::isInsideQuotes()
    if (!quoted) {
        # The machinery's own guess takes letters beyond ASCII for the end of a name.
        token <- regmatches(line, regexpr("(*UCP)[.\\w:?$@[\\]]*$", line, perl = TRUE))
        machine[["start"]] <- nchar(line) - nchar(token)
        machine[["token"]] <- token
        called <- utils:::inFunction(line, machine[["start"]])
        # The machinery would read the function that is called, whatever that runs.
        if (length(called) && nzchar(called) && inherits(look_up(called, env)[[1L]], "worker_unread"))
            utils::rc.settings(args = FALSE)
    }
    found <- if (!quoted && grepl("[$@][^][$@:?]*$", token)) components(line, token, env) else {
        utils:::.completeToken()
        found <- utils:::.retrieveCompletions()
        found[!grepl("[$@[]$", found)]
    }
    if (!identical(env, globalenv()) && grepl("^[[:alnum:]._]*$", token))
        found <- c(ls(env)[startsWith(ls(env), token)], found)
    found <- unique(found[nzchar(found) & (quoted | nchar(found) >= nchar(token))])
    found <- found[found != token | grepl("^[[:alnum:]._]+$", found)]
    if (length(found) > 1000L) found <- found[seq_len(1000L)]
    if (quoted) found <- gsub("//", "/", found, fixed = TRUE)
    type <- function(name) {
        if (quoted) return("path")
        if (endsWith(name, "=") || name == "...") return("argument")
        if (endsWith(name, "::")) return("module")
        if (grepl("[$@]", name)) return("component")
        parts <- strsplit(sub("^.*\\[|\\($", "", name), ":::?")[[1L]]
        name <- parts[[length(parts)]]
        if (name %in% keywords) return("keyword")
        if (proc.time()[[3L]] > until) return("object")
        is <- if (length(parts) == 2L) is.function(member(parts[[1L]], name)[[1L]]) else is_function(name, env)
        if (is) "function" else "object"
    }
    list(found, vapply(found, type, "", USE.NAMES = FALSE), nchar(token))
}

# Whether a call by this name would call a function that can be read without running code.
is_function <- function(name, env) is.function(look_up(name, env)[[1L]])

# Completions of a token that ends in a component, or the beginning of one. To complete those of a call's value the call would
# have to be made.
components <- function(line, token, env) {
    if (grepl("[])`][[:space:]]*$", substr(line, 1L, nchar(line) - nchar(token))) && grepl("^[$@]", token)) return(character())
    op <- regexpr("[$@][^$@]*$", token)
    owner <- substr(token, 1L, op - 1L)
    begun <- substr(token, op + 1L, nchar(token))
    op <- substr(token, op, op)
    expr <- tryCatch(str2lang(owner), error = function(e) NULL)
    x <- reach(expr, env)
    if (is.null(x) || inherits(x <- x[[1L]], "worker_unread")) return(character())
    names <- if (op == "@") { if (isS4(x)) methods::slotNames(x) else own_names(x, ".AtNames") }
             else if (!is.null(own <- own_names(x, ".DollarNames"))) own
             else if (is.environment(x)) ls(x, all.names = startsWith(begun, "."))
             else if (is.list(x)) attr(x, "names", exact = TRUE)
    names <- as.character(names)
    names <- names[nzchar(names) & !is.na(names) & startsWith(names, begun)]
    if (length(names) > 1000L) names <- names[seq_len(1000L)]
    strange <- make.names(names) != names
    names[strange] <- vapply(names[strange], function(name) deparse(as.name(name), backtick = TRUE), "")
    paste0(owner, op, names, recycle0 = TRUE)
}

# The components of an object of a class for which a package has a method that tells them; NULL where there is none. `.AtNames`,
# which R has since 4.3, tells what `@` takes of an object that is no S4 one.
own_names <- function(x, generic) {
    for (class in attr(x, "class", exact = TRUE)) {
        method <- tryCatch(utils::getS3method(generic, class, optional = TRUE), error = function(e) NULL)
        if (is.function(method) && isNamespace(topenv(environment(method))))
            return(as.character(tryCatch(method(x, ""), error = function(e) character())))
    }
}

keywords <- c("if", "else", "repeat", "while", "function", "for", "next", "break", "TRUE", "FALSE", "NULL", "Inf", "NaN", "NA",
              "in")

# What is known of the name around the cursor, or of the component that it names: its signature or summary, and its help page.
inspect <- function(name, debugging) {
    expr <- str2lang(name)
    env <- place(debugging)
    found <- reach(expr, env)
    value <- found[[1L]]
    op <- if (is.call(expr)) as.character(expr[[1L]]) else ""
    is_component <- op %in% c("$", "@")
    package <- if (op %in% c("::", ":::")) as.character(expr[[2L]])
    topic <- as.character(if (is.call(expr)) expr[[3L]] else expr)
    label <- if (is_component) gsub("`", "", name, fixed = TRUE) else topic
    text <- if (!is.null(found)) {
        if (is.function(value)) paste0(label, sub("^function", "", signature(value)))
        else sprintf("%s: %s %s", label, kind(value), tidy(summarise(value)))
    }
    if (!is_component && (is.null(found) || is.function(value))) text <- c(text, page(topic, package))
    if (length(text)) paste(text, collapse = "\n\n") else character()
}

page <- function(topic, package) {
    file <- tryCatch(utils::help((topic), package = (package), help_type = "text"), error = function(e) character())
    if (!length(file)) return(character())
    rd <- tryCatch(utils:::.getHelpFile(as.character(file)[[1L]]), error = function(e) NULL)
    if (is.null(rd)) return(character())
    lines <- utils::capture.output(tools::Rd2txt(rd, options = list(underline_titles = FALSE)))
    paste(lines, collapse = "\n")
}
