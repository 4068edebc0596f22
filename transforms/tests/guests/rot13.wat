;; rot13 as a core module with canonical-ABI names; tests embed the WIT and wrap it.
(module
  (import "pop3d:transform/host@1.0.0" "write" (func $write (param i32 i32)))
  (memory (export "memory") 2)            ;; page 0: results at 0; pages 1..: one input buffer
  (func (export "cabi_realloc") (param $old i32) (param $olds i32) (param $align i32) (param $n i32) (result i32)
    (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $p) (local.get $n)))
    (block $ok (loop $grow
      (br_if $ok (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0)) (then unreachable))
      (br $grow)))
    (local.get $p))
  (global $top (mut i32) (i32.const 65536))
  (func $ok (result i32) (global.set $top (i32.const 65536)) (i32.const 0)) ;; result area is all zero: ok(more)
  (func (export "pop3d:transform/filter@1.0.0#start")
    (param i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (call $ok))
  (func (export "pop3d:transform/filter@1.0.0#push") (param $p i32) (param $n i32) (result i32)
    (local $i i32) (local $e i32) (local $c i32) (local $l i32)
    (local.set $i (local.get $p)) (local.set $e (i32.add (local.get $p) (local.get $n)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $e)))
      (local.set $c (i32.load8_u (local.get $i)))
      (local.set $l (i32.sub (i32.or (local.get $c) (i32.const 32)) (i32.const 97)))
      (if (i32.lt_u (local.get $l) (i32.const 26)) (then
        (i32.store8 (local.get $i) (i32.add (local.get $c)
          (select (i32.const 13) (i32.const -13) (i32.lt_u (local.get $l) (i32.const 13)))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (call $write (local.get $p) (local.get $n))
    (call $ok))
  (func (export "pop3d:transform/filter@1.0.0#finish") (result i32) (call $ok)))
