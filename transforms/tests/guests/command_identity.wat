;; A WASI command that copies standard input to standard output, by blocks.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  ;; At 0: the parts of a read, half a page each. At 16: the part of a write. At 24: how many octets went.
  (memory (export "memory") 3)
  (func (export "_start") (local $rest i32)
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 32768))
    (i32.store (i32.const 8) (i32.const 98304))
    (i32.store (i32.const 12) (i32.const 32768))
    (loop $next
      (if (call $read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 24)) (then (call $exit (i32.const 1))))
      (local.set $rest (i32.load (i32.const 24)))
      (if (i32.eqz (local.get $rest)) (then (return)))
      (i32.store (i32.const 16) (i32.const 65536))
      (loop $more
        (i32.store (i32.const 20) (local.get $rest))
        (if (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))
          (then (call $exit (i32.const 2))))
        (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 24))))
        (local.set $rest (i32.sub (local.get $rest) (i32.load (i32.const 24))))
        (br_if $more (local.get $rest)))
      (br $next))))
