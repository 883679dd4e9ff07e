//! `#[mecapy_task::main]`.

use crate::ports::description;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, FnArg, ItemFn, Result, ReturnType, Signature, Type};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "#[mecapy_task::main] takes no arguments"));
    }
    let (input, returned) = shape(&function.sig)?;
    let (name, text) = (&function.sig.ident, function.sig.ident.to_string());
    let description = description(&function.attrs);
    Ok(quote! {
        #function

        fn main() {
            ::mecapy_task::run(#name)
        }

        const _: () = {
            use ::mecapy_task::{Ports, internal};
            const SIGNATURE: internal::Signature = internal::Signature {
                name: #text,
                description: #description,
                inputs: <#input as Ports>::TYPE,
                outputs: <<#returned as internal::Returned>::Output as Ports>::TYPE,
            };
            // Evaluated for every target, so that what can't be told is told when the author builds.
            const TEXT: [u8; internal::length(&SIGNATURE)] = internal::write(&SIGNATURE);
            #[cfg(target_arch = "wasm32")]
            #[used]
            #[unsafe(link_section = "mecapy:signature")]
            static SECTION: [u8; internal::length(&SIGNATURE)] = TEXT;
            #[cfg(not(target_arch = "wasm32"))]
            let _ = TEXT;
        };
    })
}

/// The types of the one parameter and of the result.
fn shape(signature: &Signature) -> Result<(&Type, &Type)> {
    let refuse = |message| Err(Error::new_spanned(signature, message));
    if signature.ident == "main" {
        return refuse("name the function for what it computes: #[mecapy_task::main] makes the `main` that calls it");
    }
    if signature.asyncness.is_some() || !signature.generics.params.is_empty() {
        return refuse("a task's function is neither async nor generic");
    }
    let mut inputs = signature.inputs.iter();
    let (Some(FnArg::Typed(input)), None) = (inputs.next(), inputs.next()) else {
        return refuse("a task's function has one parameter: a struct with all inputs");
    };
    let ReturnType::Type(_, returned) = &signature.output else {
        return refuse("a task's function returns `mecapy_task::Result<Output>`");
    };
    Ok((&input.ty, returned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_another_shape_is_refused() {
        let rows = [
            (quote! { fn main(input: Input) -> Result<Output> {} }, "for what it computes"),
            (quote! { async fn rod(input: Input) -> Result<Output> {} }, "neither async nor generic"),
            (quote! { fn rod<T>(input: T) -> Result<Output> {} }, "neither async nor generic"),
            (quote! { fn rod() -> Result<Output> {} }, "has one parameter"),
            (quote! { fn rod(a: f64, b: f64) -> Result<Output> {} }, "has one parameter"),
            (quote! { fn rod(input: Input) {} }, "returns `mecapy_task::Result<Output>`"),
            (quote! { struct Rod; }, "expected `fn`"),
        ];
        for (item, words) in rows {
            let error = expand(TokenStream::new(), item).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(expand(quote! { x }, quote! { fn rod(input: Input) -> Result<Output> {} }).is_err());
    }
}
