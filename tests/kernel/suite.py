"""jupyter_kernel_test's suite for this kernel, and what it does not ask for."""

import unittest

import jupyter_kernel_test as jkt

KERNEL = "rlaif-repl"


class Messages(jkt.KernelTests):
    kernel_name = KERNEL
    language_name = "rhai"
    file_extension = ".rhai"
    code_hello_world = 'print("hello, world")'
    code_stderr = "debug(1)"
    code_clear_output = "clear_output()"
    completion_samples = [
        {"text": "let longname = 1; longn", "matches": ["longname"]},
        {"text": "timest", "matches": ["timestamp()"]},
        {"text": "äöü; timest", "matches": ["timestamp()"]},
    ]
    complete_code_samples = ["1", 'print("hello")', "fn f(x) {\n    x\n}\n", "// a comment", "load?"]
    incomplete_code_samples = ["fn f(x) {", "f(", "#{", "`open", "1 +"]
    invalid_code_samples = ["1 +) 2", "let 1 = 2", ")"]
    code_page_something = "load?"
    code_generate_error = 'throw "oh"'
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": '"a" + "b"', "result": '"ab"'},
        {"code": "[1, 2]", "result": "[1, 2]"},
    ]
    code_display_data = [
        {"code": 'print(table([#{a: 1, b: 2}]))', "mime": "text/html"},
        {"code": 'print(plot([1.0, 2.0], #{title: "t"}))', "mime": "image/svg+xml"},
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "load"


class Welcome(jkt.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
