;; A WASI command that complains and exits, with the status that is the digits of its name.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $arguments (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\10\00\00\00\0d\00\00\00it has ended\0a")
  (func (export "_start") (local $at i32) (local $status i32)
    (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 0)))
    (drop (call $arguments (i32.const 64) (i32.const 128)))
    (local.set $at (i32.load (i32.const 64)))
    (loop $next
      (if (i32.lt_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)) (i32.const 10)) (then
        (local.set $status (i32.add (i32.mul (local.get $status) (i32.const 10))
          (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.load8_u (local.get $at))))
    (call $exit (local.get $status))
    unreachable))
