"""The Jupyter protocol, as `jupyter_kernel_test` and libzmq see it."""

import jupyter_kernel_test as jkt
from conftest import KERNEL


class RustKernelTests(jkt.KernelTests):
    """Every test of the suite has what it needs, so that none skips itself."""

    kernel_name = KERNEL
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("oh");'
    completion_samples = [
        {"text": "%lsm", "matches": {"%lsmagic"}},
        {"text": "%kg expo", "matches": {"export"}},
        {"text": "%corpus --ski", "matches": {"--skip-rule"}},
        {"text": "let numbers = vec![1]; numbers.is_em", "matches": {"is_empty()"}},
    ]
    complete_code_samples = [
        "1 + 1",
        "let x = 41;",
        "fn double(x: u64) -> u64 {\n    2 * x\n}",
        "%lsmagic",
        '"}"',
    ]
    incomplete_code_samples = ["fn double(x: u64) -> u64 {", "let x = (1 +", '"open']
    invalid_code_samples = ["fn )", "let x = 1 }"]
    code_page_something = "%help?"
    code_generate_error = 'let x: u32 = "no number";'
    code_execute_result = [
        {"code": "1 + 2", "result": "3"},
        {"code": '"a".repeat(3)', "result": '"aaa"'},
        {"code": "1 + 2 + 3", "result": "6"},
    ]
    code_display_data = [
        {"code": "%lsmagic\nlet after = 1;", "mime": "text/plain"},
        {"code": "%help\n1 + 1", "mime": "text/plain"},
        {"code": "display!(vec![1, 2]);", "mime": "text/plain"},
        {"code": 'display!(Html("<b>bold</b>".into()));', "mime": "text/html"},
        {"code": 'display!(Markdown("**bold**".into()));', "mime": "text/markdown"},
    ]
    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "1?+?2"
    code_inspect_sample = "%lsmagic"
    code_clear_output = "clear_output(false);"

    def test_nothing_is_left_out(self):
        """A test without its attribute would skip itself."""
        wanted = [name for name, value in vars(jkt.KernelTests).items() if value in ("", [], ()) and name[0] != "_"]
        assert [name for name in wanted if not getattr(self, name)] == []

    @classmethod
    def setUpClass(cls):
        """The first cell waits for the warm-up, which has more than the suite's 15 seconds."""
        super().setUpClass()
        reply = cls.kc.execute_interactive("0", timeout=300, output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok"


class RustWelcomeTests(jkt.IopubWelcomeTests):
    """Whoever subscribes is welcomed first."""

    kernel_name = KERNEL
    support_iopub_welcome = True
