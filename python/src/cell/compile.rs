//! Compiling a cell's source: the whole cell is compiled before any of it runs. All functions need the GIL.

use crate::plain::source::may_be_expression;
use crate::runtime::code::{ONLY_AST, compile, evaluate_in};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyList, PyTuple};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// `PyCF_ALLOW_TOP_LEVEL_AWAIT`.
const ALLOW_TOP_LEVEL_AWAIT: i32 = 0x2000;
/// The flags of `from __future__ import …`, from `division` to `annotations`.
const FUTURE_FLAGS: i32 = 0x1FE_0000;
/// The flag of a code object whose evaluation gives a coroutine.
const CO_COROUTINE: i32 = 0x80;

/// The flags of `from __future__ import …` in earlier cells, which apply to later ones.
static FUTURES: AtomicI32 = AtomicI32::new(0);
/// What [`expression_types`] gives.
static EXPRESSION: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();

/// A compiled cell.
pub(super) struct Compiled<'py> {
    /// The code of its statements; none if it is one expression.
    pub(super) body: Option<Bound<'py, PyAny>>,
    /// The code of its last statement if that is an expression, whose value is shown.
    pub(super) last: Option<Bound<'py, PyAny>>,
}

/// The types `ast.Expr` and `ast.Expression`, as the compiler makes them: user code may have changed the module `_ast`,
/// and its import would make all classes of nodes also in a session that needs none.
fn expression_types<'py>(py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (statement, alone) = EXPRESSION.get_or_try_init(py, || -> PyResult<_> {
        let zero = "0".into_pyobject(py)?.into_any();
        let statement = compile(&zero, "", "exec", ONLY_AST)?.getattr("body")?.get_item(0)?;
        let alone = compile(&zero, "", "eval", ONLY_AST)?;
        Ok((statement.get_type().into_any().unbind(), alone.get_type().into_any().unbind()))
    })?;
    Ok((statement.bind(py).clone(), alone.bind(py).clone()))
}

/// Compiles a cell; its code objects have the file name `file`. Raises `SyntaxError` and whatever else `compile`
/// raises.
pub(super) fn cell<'py>(py: Python<'py>, source: &str, file: &str) -> PyResult<Compiled<'py>> {
    let flags = ALLOW_TOP_LEVEL_AWAIT | FUTURES.load(Relaxed);
    let text = source.into_pyobject(py)?.into_any();
    // Most cells of one line are an expression: this saves the tree.
    if may_be_expression(source)
        && let Ok(last) = compile(&text, file, "eval", flags)
    {
        return Ok(Compiled { body: None, last: Some(last) });
    }
    let tree = compile(&text, file, "exec", flags | ONLY_AST)?;
    let statements = tree.getattr("body")?.cast_into::<PyList>()?;
    let (expr_type, expression_type) = expression_types(py)?;
    let mut last = None;
    if let Some(at) = statements.len().checked_sub(1) {
        let statement = statements.get_item(at)?;
        if statement.is_instance(&expr_type)? {
            statements.del_item(at)?;
            last = Some(expression_type.call1((statement.getattr("value")?,))?);
        }
    }
    let mut compiled = Compiled { body: None, last: None };
    let mut flags = flags;
    if !statements.is_empty() {
        let body = compile(&tree, file, "exec", flags)?;
        flags |= flags_of(&body)? & FUTURE_FLAGS;
        compiled.body = Some(body);
    }
    if let Some(last) = last {
        compiled.last = Some(compile(&last, file, "eval", flags)?);
    }
    FUTURES.store(flags & FUTURE_FLAGS, Relaxed);
    Ok(compiled)
}

/// Adds the cell's frame to an error that `sys.displayhook` has raised: the traceback begins at the cell's last
/// expression, as at the interactive prompt. Gives the error, unchanged if the source cannot be compiled again.
pub(super) fn raise_at_last(
    py: Python<'_>,
    error: PyErr,
    source: &str,
    file: &str,
    namespace: &Bound<'_, PyDict>,
) -> PyErr {
    let raise = || -> PyResult<()> {
        let flags = ONLY_AST | ALLOW_TOP_LEVEL_AWAIT | FUTURES.load(Relaxed);
        let tree = compile(&source.into_pyobject(py)?.into_any(), file, "exec", flags)?;
        let last = tree.getattr("body")?.get_item(-1)?;
        let call = compile(&"show()".into_pyobject(py)?.into_any(), file, "eval", ONLY_AST)?;
        let body = call.getattr("body")?;
        for node in [&body, &body.getattr("func")?] {
            for place in ["lineno", "col_offset", "end_lineno", "end_col_offset"] {
                node.setattr(place, last.getattr(place)?)?;
            }
        }
        let code = compile(&call, file, "eval", 0)?;
        let locals = PyDict::new(py);
        let error = error.clone_ref(py);
        let show = PyCFunction::new_closure(py, None, None, move |arguments: &Bound<'_, PyTuple>, _options| {
            Err::<(), _>(error.clone_ref(arguments.py()))
        })?;
        locals.set_item("show", show)?;
        evaluate_in(py, &code, namespace, &locals).map(drop)
    };
    match raise() {
        Err(raised) if raised.value(py).is(error.value(py)) => raised,
        _ => error,
    }
}

fn flags_of(code: &Bound<'_, PyAny>) -> PyResult<i32> {
    code.getattr(pyo3::intern!(code.py(), "co_flags"))?.extract()
}

/// Whether evaluating the code gives a coroutine: it has an `await` at its top level.
pub(super) fn is_coroutine(code: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(flags_of(code)? & CO_COROUTINE != 0)
}

/// Whether the code defines functions or classes: their tracebacks need its source after the cell.
pub(super) fn defines(code: &Bound<'_, PyAny>) -> PyResult<bool> {
    let kind = code.get_type();
    Ok(code
        .getattr(pyo3::intern!(code.py(), "co_consts"))?
        .cast_into::<PyTuple>()?
        .iter()
        .any(|constant| constant.get_type().is(&kind)))
}
