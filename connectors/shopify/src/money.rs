//! Money: amounts stay the decimal texts they are, so that no cent is lost in a floating-point number.

use trunnion_sdk::prelude::*;

/// A decimal amount, given as a text or a number.
pub(crate) fn amount(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(whole) && digits(fraction) {
        Ok(text)
    } else {
        Err(format!("{value} is not an amount; give digits with a point, as in `12.50`"))
    }
}

/// An amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Money {
    /// The amount, as in `12.5`.
    amount: String,
    /// The currency, as in `EUR`.
    currency: String,
}

impl Money {
    /// Reads a `MoneyBag` in the shop's currency.
    pub(crate) fn of_bag(bag: &Value) -> Option<Self> {
        let text = |name| bag.pointer(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { amount: text("/shopMoney/amount")?, currency: text("/shopMoney/currencyCode")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimal_texts_or_numbers() {
        for (given, text) in
            [(json!("12.50"), "12.50"), (json!(12.5), "12.5"), (json!(7), "7"), (json!(" 0 "), "0")]
        {
            assert_eq!(amount(&given).unwrap(), text);
        }
        let wrong = ["12,50", "-1", "1e3", ".", "1.", "€ 5", ""];
        for given in
            wrong.map(Value::from).into_iter().chain([json!(-1), json!(1e30), json!(null), json!([1])])
        {
            let message = amount(&given).unwrap_err();
            assert!(message.contains("is not an amount"), "{message}");
        }
    }
}
